# Sources that the build writes: the kernels' text and the Unicode tables. For the native build and
# the page's; wants top (the project's folder), sets solo_generated.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
file(GLOB solo_kernels CONFIGURE_DEPENDS ${top}/kernels/*.wgsl)
add_custom_command(
    OUTPUT ${CMAKE_BINARY_DIR}/kernels_embedded.c
    COMMAND ${CMAKE_COMMAND} -DOUT=${CMAKE_BINARY_DIR}/kernels_embedded.c
            -DGLOB=${top}/kernels/*.wgsl -DHEADER=wgsl.h -DTYPE=solo_kernel_file -DARRAY=solo_kernel_files
            -DCOUNT=solo_n_kernel_file -P ${top}/tools/embed.cmake
    DEPENDS ${solo_kernels} ${top}/tools/embed.cmake
    COMMENT "Embedding kernels/*.wgsl" VERBATIM)
add_custom_command(
    OUTPUT ${CMAKE_BINARY_DIR}/unicode_tables.c
    COMMAND ${Python3_EXECUTABLE} ${top}/tools/unicode_tables.py ${CMAKE_BINARY_DIR}
    DEPENDS ${top}/tools/unicode_tables.py
    COMMENT "Writing the Unicode tables" VERBATIM)
set(solo_generated ${CMAKE_BINARY_DIR}/unicode_tables.c ${CMAKE_BINARY_DIR}/kernels_embedded.c)
