// $role$_rows_$form$: rows[out0 .. out0 + n) = rows row0 .. of m times the stage's input, which
// $role$_take brought in. A team of $ROLE$_TEAM lanes shares a row, $ROLE$_R rows at a time; the
// caller's barrier puts these rows before anyone reads them.
fn $role$_rows_$form$(m: Matrix, n_row: u32, layer: u32, row0: u32, out0: u32, n: u32, lane: u32) {
  let slot = lane % $ROLE$_TEAM;
  for (var pass_ = 0u; pass_ < $ROLE$_PASSES; pass_++) {
    let first = lane / $ROLE$_TEAM * $ROLE$_TEAM_ROWS;
    let r0 = first + pass_ * $ROLE$_R;
    let end = min(n, first + $ROLE$_TEAM_ROWS); // of the team's rows
    var acc = array<f32, $ROLE$_R>();
    for (var chunk = 0u; chunk < $ROLE$_CHUNKS; chunk++) {
      if ($ROLE$_CHUNKS > 1u) {
        workgroupBarrier(); // the chunk before is used up
        $role$_take_chunk(layer, chunk, lane);
      }
      let g0 = chunk * $ROLE$_CHUNK_GROUPS;
      if (r0 < end) {
        for (var g = slot; g < min($ROLE$_CHUNK_GROUPS, $ROLE$_GROUPS - g0); g += $ROLE$_TEAM) {
          let x = x_load(g);
          for (var r = 0u; r < $ROLE$_R; r++) {
            let row = min(row0 + r0 + r, n_row - 1u);
            acc[r] = mac_$act$_$form$(load_$form$(m, row, $ROLE$_GROUPS, g0 + g), x, $ROLE$_ONE, acc[r]);
          }
        }
      }
    }
    const LAST = $ROLE$_R - 1u; // of one, two or four
    let sums = vec4<f32>(acc[0], acc[min(1u, LAST)], acc[min(2u, LAST)], acc[LAST]) * SUM_$ACT$_$FORM$;
    keep_sums(sums, $ROLE$_TEAM, out0 + r0, out0 + r0, out0 + min(r0 + $ROLE$_R, end), lane);
  }
}
