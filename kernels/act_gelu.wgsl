// act_gelu: GELU in its form by tanh, 0.5 x (1 + tanh u), which is x times the logistic function of 2u: exp
// passes over and under without a NaN, tanh need not.
fn activate(x: f32) -> f32 {
  let u = 0.7978845608028654 * x * fma(x * x, 0.044715, 1.0); // sqrt(2 / pi) (x + 0.044715 x^3)
  return x / (1.0 + exp(-2.0 * u));
}
