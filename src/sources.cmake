# What libsolo is made of; for the native build and for the page's (src/web).
set(solo_sources
    base parallel source source_file quant quantize gguf gguf_write model rope synth synth_file
    assembly folder checkpoint import import_config convert tokenizer_write
    tokenizer tokenizer_bpe tokenizer_spm tokenizer_json pattern pretokenize unicode text chat_template
    jinja jinja_parse jinja_value jinja_calls
    ref sampler
    device stage stream
    take attend wgsl weights plan session prefill probe tune)
