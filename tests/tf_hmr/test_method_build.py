"""Making a method's variables runs its functions, and compiles none."""

import pytest
import tensorflow as tf

from tests.support import toy_method
from tf_hmr import method as methods


class Compiled(toy_method.Model):
    """Its call has a function that XLA would compile."""

    input_names = ()
    fails = False

    def __init__(self, body):
        super().__init__(toy_method.Config(), body)
        self.double = tf.function(lambda x: 2 * x, jit_compile=True)

    build_all = methods.Method.build_all

    def call(self, x, training=False):
        if self.fails:
            raise ValueError("as a broken method")
        return super().call(self.double(tf.zeros((1, 2))), training)


def test_no_function_is_compiled_to_make_variables(body):
    model = Compiled(body)
    model.build_all()
    assert model.trainable_variables
    assert model.double.experimental_get_tracing_count() == 0
    assert not tf.config.functions_run_eagerly()


def test_functions_are_graphs_again_after_a_method_that_fails(body):
    model = Compiled(body)
    model.fails = True
    with pytest.raises(ValueError, match="broken"):
        model.build_all()
    assert not tf.config.functions_run_eagerly()
