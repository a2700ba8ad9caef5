// token_burst: a dispatch is of BURST_TOKENS tokens, at args.pos, args.pos + 1, ... Each has a block of
// messages of its own, so that every slot is still written once a dispatch. What a token left behind
// for later ones is taken as words too: plain loads see only what earlier dispatches wrote.
var<private> burst_token: u32; // which of them this workgroup is at

fn token_pos() -> u32 { return args.pos + burst_token; }
fn token_block() -> u32 { return burst_token; }

// token_pos for control flow around barriers, which WGSL must see to be uniform.
fn uniform_pos(lane: u32) -> u32 {
  if (lane == 0u) { uniform_word = token_pos(); }
  return workgroupUniformLoad(&uniform_word);
}

// The last burst may run past the context's end. The host drops those tokens; they keep no row, no id.
fn in_context() -> bool { return token_pos() < N_CTX; }

// How far from this token's messages those of the token at position p stand; p >= args.pos. Negative,
// hence modulo 2^32, as is the sum it goes into.
fn back_to(p: u32) -> u32 { return (p - token_pos()) * MSG_WORDS; }

// The id at position p of the context. One drawn in this dispatch is a word of the token before it.
fn context_id(p: u32) -> u32 {
  if (p <= args.pos) { return id_at(p); }
  return min(take(M_ID + back_to(p - 1u)), N_VOCAB - 1u);
}
