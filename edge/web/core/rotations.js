/** Rotation vectors of matrices, as cv2.Rodrigues. */

const transposedInverse = (m) => {
  const [a, b, c, d, e, f, g, h, i] = m;
  const cofactors = [
    e * i - f * h, f * g - d * i, d * h - e * g,
    c * h - b * i, a * i - c * g, b * g - a * h,
    b * f - c * e, c * d - a * f, a * e - b * d,
  ];
  const determinant = a * cofactors[0] + b * cofactors[1] + c * cofactors[2];
  return cofactors.map((value) => value / determinant);
};

const norm = (m) => Math.hypot(...m);

/**
 * The nearest orthogonal matrix: the factor U V' of a matrix U S V'.
 *
 * By Newton's iteration (Higham 1986, Computing the Polar Decomposition), with
 * norms balanced, which takes five steps from a mean of rotations.
 *
 * @param {ArrayLike<number>} matrix nine numbers, by rows
 * @returns {number[]}
 */
export function nearestOrthogonal(matrix) {
  let now = Array.from(matrix);
  for (let step = 0; step < 30; step++) {
    let inverse = transposedInverse(now);
    if (!inverse.every(Number.isFinite)) {
      // Of matrices without an inverse, one that is hardly another.
      now = now.map((value, n) => value + (n % 4 ? 0 : 1e-9));
      inverse = transposedInverse(now);
    }
    const balance = Math.sqrt(norm(inverse) / norm(now));
    const next = now.map((v, n) => (balance * v + inverse[n] / balance) / 2);
    const change = Math.max(...next.map((v, n) => Math.abs(v - now[n])));
    now = next;
    if (change < 1e-14) break;
  }
  return now;
}

/**
 * The rotation vector of the rotation that is nearest to a matrix.
 *
 * @param {ArrayLike<number>} matrix nine numbers, by rows
 * @returns {number[]} axis times radians, of at most pi
 */
export function rotationVector(matrix) {
  const r = nearestOrthogonal(matrix);
  const axis = [r[7] - r[5], r[2] - r[6], r[3] - r[1]];
  const sine = Math.hypot(...axis) / 2;
  const cosine = Math.min(Math.max((r[0] + r[4] + r[8] - 1) / 2, -1), 1);
  const angle = Math.acos(cosine);
  if (sine >= 1e-5) return axis.map((v) => (v * angle) / (2 * sine));
  if (cosine > 0) return [0, 0, 0];
  // Half a turn: the axis is in the diagonal, its signs in the other entries.
  const half = [0, 4, 8].map((n) => Math.sqrt(Math.max((r[n] + 1) / 2, 0)));
  if (r[1] < 0) half[1] = -half[1];
  if (r[2] < 0) half[2] = -half[2];
  const [x, y, z] = half.map(Math.abs);
  if (x < y && x < z && r[5] > 0 !== half[1] * half[2] > 0) half[2] = -half[2];
  const length = Math.hypot(...half);
  return half.map((v) => (v * angle) / length);
}
