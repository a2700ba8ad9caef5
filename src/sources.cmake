# What libsolo is made of; for the native build and for the page's (src/web).
set(solo_sources
    base source source_file quant gguf gguf_write model synth
    tokenizer tokenizer_bpe tokenizer_spm pretokenize text chat_template
    ref sampler
    device stage stream wgsl weights plan session prefill probe tune)
