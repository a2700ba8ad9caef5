# Writes OUT, a C file that holds every DIR/*.wgsl as a byte array (string literals over 4095
# characters are outside C11's promise) and solo_kernel_files[], sorted by name; see src/wgsl.h.
file(GLOB paths ${DIR}/*.wgsl)
list(SORT paths)
set(arrays "")
set(rows "")
set(n 0)
foreach(path IN LISTS paths)
    get_filename_component(name ${path} NAME)
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
file(WRITE ${OUT}.tmp "/* Made by tools/embed.cmake from the files in kernels. */
#include \"wgsl.h\"

${arrays}
const solo_kernel_file solo_kernel_files[] = {
${rows}};
const uint32_t solo_n_kernel_file = ${n};
")
file(RENAME ${OUT}.tmp ${OUT})
