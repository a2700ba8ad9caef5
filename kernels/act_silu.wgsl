// act_silu: x times its logistic function.
fn activate(x: f32) -> f32 { return x / (1.0 + exp(-x)); }
