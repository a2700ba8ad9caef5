// prefill_matmul_$matrix$: a tile of 32 rows and 32 tokens a workgroup; a lane holds 4 x 4 of them.
@compute @workgroup_size(PF_WG)
fn prefill_matmul_$matrix$(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * 32u;
  let t0 = wg.y * 32u;
  let r = (lane % 8u) * 4u;
  let t = (lane / 8u) * 4u;
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  for (var g = 0u; g < PF_GROUPS_$matrix$; g++) {
    for (var i = lane; i < 256u; i += PF_WG) {
      let row = min(row0 + i / 8u, PF_ROWS_$matrix$ - 1u);
      pf_w[i / 8u * 9u + i % 8u] = weight_$matrix$(place.layer, row, PF_GROUPS_$matrix$, g, i % 8u);
      pf_x[i / 8u * 9u + i % 8u] = pf_in_$matrix$(min(t0 + i / 8u, PF_BATCH - 1u), g * 8u + i % 8u);
    }
    workgroupBarrier(); // the strip written before the products read it
    for (var j = 0u; j < 8u; j++) {
      let w0 = pf_w[r * 9u + j];
      let w1 = pf_w[(r + 1u) * 9u + j];
      let w2 = pf_w[(r + 2u) * 9u + j];
      let w3 = pf_w[(r + 3u) * 9u + j];
      let x0 = pf_x[t * 9u + j];
      let x1 = pf_x[(t + 1u) * 9u + j];
      let x2 = pf_x[(t + 2u) * 9u + j];
      let x3 = pf_x[(t + 3u) * 9u + j];
      acc0 += vec4<f32>(dot(w0, x0), dot(w1, x0), dot(w2, x0), dot(w3, x0));
      acc1 += vec4<f32>(dot(w0, x1), dot(w1, x1), dot(w2, x1), dot(w3, x1));
      acc2 += vec4<f32>(dot(w0, x2), dot(w1, x2), dot(w2, x2), dot(w3, x2));
      acc3 += vec4<f32>(dot(w0, x3), dot(w1, x3), dot(w2, x3), dot(w3, x3));
    }
    workgroupBarrier(); // the strip used up before the next takes its place
  }
  if (row0 + r < PF_ROWS_$matrix$) {
    if (t0 + t < args.n_batch) { pf_out_$matrix$(t0 + t, (row0 + r) / 4u, acc0); }
    if (t0 + t + 1u < args.n_batch) { pf_out_$matrix$(t0 + t + 1u, (row0 + r) / 4u, acc1); }
    if (t0 + t + 2u < args.n_batch) { pf_out_$matrix$(t0 + t + 2u, (row0 + r) / 4u, acc2); }
    if (t0 + t + 3u < args.n_batch) { pf_out_$matrix$(t0 + t + 3u, (row0 + r) / 4u, acc3); }
  }
}
