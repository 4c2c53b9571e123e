# SPDX-License-Identifier: Apache-2.0
# Where node_api.h and uv.h are: SPONSON_NODE_INCLUDE, SPONSON_UV_INCLUDE. A Node that is not the system's has them
# beside it; Debian has them in libnode-dev and libuv1-dev.
find_program(SPONSON_NODE_PROGRAM NAMES node nodejs)
if(SPONSON_NODE_PROGRAM)
    get_filename_component(node_prefix ${SPONSON_NODE_PROGRAM} REALPATH)
    get_filename_component(node_prefix ${node_prefix} DIRECTORY)
    get_filename_component(node_prefix ${node_prefix} DIRECTORY)
endif()
find_path(SPONSON_NODE_INCLUDE node_api.h
    HINTS ${node_prefix}/include PATHS /usr/include /usr/local/include PATH_SUFFIXES node nodejs/src)
find_path(SPONSON_UV_INCLUDE uv.h HINTS ${SPONSON_NODE_INCLUDE})
