// token_one: a dispatch is of one token, the one at args.pos, whose messages are block 0.
fn token_pos() -> u32 { return args.pos; }
fn token_block() -> u32 { return 0u; }
fn uniform_pos(lane: u32) -> u32 { return args.pos; }
fn in_context() -> bool { return true; }

// How far from this token's messages those of the token at position p stand; p >= args.pos.
fn back_to(p: u32) -> u32 { return 0u; }

// The id at position p of the context.
fn context_id(p: u32) -> u32 { return id_at(p); }
