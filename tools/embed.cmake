# Writes OUT, a C file that holds every file of GLOB as a byte array (string literals over 4095 characters are
# outside C11's promise) and ARRAY[], rows of TYPE {name, text, n_text} sorted by name, and their number COUNT, as
# HEADER declares them. STRIP: an ending that the names lose.
file(GLOB paths ${GLOB})
list(SORT paths)
set(arrays "")
set(rows "")
set(n 0)
foreach(path IN LISTS paths)
    get_filename_component(name ${path} NAME)
    if(STRIP)
        string(REPLACE "${STRIP}" "" name ${name})
    endif()
    file(READ ${path} hex HEX)
    string(LENGTH "${hex}" n_hex)
    math(EXPR n_text "${n_hex} / 2")
    string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const char file_${n}[] = { /* ${name} */\n${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", file_${n}, ${n_text}},\n")
    math(EXPR n "${n} + 1")
endforeach()
if(n EQUAL 0)
    set(rows "    {\"\", \"\", 0},\n")
endif()
file(WRITE ${OUT}.tmp "/* Made by tools/embed.cmake. */
#include \"${HEADER}\"

${arrays}
const ${TYPE} ${ARRAY}[] = {
${rows}};
const uint32_t ${COUNT} = ${n};
")
file(RENAME ${OUT}.tmp ${OUT})
