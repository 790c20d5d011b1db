"""Adam and AdamW with one operation for each variable."""

import keras
import tensorflow as tf


class Adam(keras.optimizers.AdamW):
    """Keras's Adam, or AdamW with weight decay, as TensorFlow's fused kernel.

    Keras writes the update of a variable as 20 operations and its decay as 25,
    the learning rate's schedule among them: that was a third of the graph of
    a training step. The variables in a checkpoint are Keras's, and so are the
    numbers, but for 1 - beta_2, which the kernel takes of float32: 1e-5 of it.
    """

    def __init__(self, learning_rate, weight_decay: float = 0.0):
        """Makes the optimiser.

        Args:
            learning_rate: a number or a Keras schedule.
            weight_decay: the share of a variable that a step takes from it,
                times the learning rate; see `exclude_from_weight_decay`.
        """
        super().__init__(learning_rate, weight_decay=weight_decay)

    def _apply_weight_decay(self, variables) -> None:
        """Does nothing: `update_step` shrinks each variable."""

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # Once a step, not once a variable.
        count = tf.cast(self.iterations + 1, tf.float32)
        scalars = (
            tf.cast(learning_rate, tf.float32),
            tf.pow(tf.constant(self.beta_1, tf.float32), count),
            tf.pow(tf.constant(self.beta_2, tf.float32), count),
        )
        super()._backend_update_step(grads, trainable_variables, scalars)

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable.

        Args:
            gradient: of the variable, float32.
            variable: a tf.Variable.
            learning_rate: and the powers of both betas, float32.
        """
        rate, beta_1_power, beta_2_power = learning_rate
        if self.weight_decay and self._use_weight_decay(variable):
            variable.assign_sub(variable * self.weight_decay * rate)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta_1_power,
            beta2_power=beta_2_power,
            lr=rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
