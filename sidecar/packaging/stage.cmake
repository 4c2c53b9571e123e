# SPDX-License-Identifier: Apache-2.0
# stage.cmake: run by CPack when everything is installed into a folder for each package, and before these are packed.
# Adds what Debian wants of every package. Sets what CPack cannot know before: which packages have configuration files.
set(doc ${CPACK_INSTALL_PREFIX}/share/doc)
set(version ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # SOURCE_DATE_EPOCH, if it is set

function(spn_run)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

foreach(component ${CPACK_COMPONENTS_ALL})
    string(TOUPPER ${component} upper)
    set(package ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
    set(root ${CPACK_TEMPORARY_DIRECTORY}/${component})
    set(own_doc ${root}${doc}/${package})
    file(MAKE_DIRECTORY ${own_doc})
    file(COPY_FILE ${CPACK_SPONSON_SOURCE}/sidecar/packaging/copyright ${own_doc}/copyright)
    file(COPY_FILE ${CPACK_SPONSON_SOURCE}/CHANGELOG.md ${own_doc}/changelog)
    file(WRITE ${own_doc}/changelog.Debian "sponson (${version}) unstable; urgency=medium\n\n"
        "  * ${CPACK_PACKAGE_VERSION}: changelog.gz says what is new.\n\n"
        " -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
    file(GLOB_RECURSE pages ${root}${CPACK_INSTALL_PREFIX}/share/man/*)
    spn_run(gzip -9nf ${own_doc}/changelog ${own_doc}/changelog.Debian ${pages})
    spn_run(chmod -R u=rwX,go=rX ${root})
    file(GLOB_RECURSE settings RELATIVE ${root} ${root}/etc/*)
    if(settings)
        list(TRANSFORM settings PREPEND /)
        list(JOIN settings "\n" list)
        set(file ${CPACK_TEMPORARY_DIRECTORY}/${component}.control/conffiles)
        file(WRITE ${file} "${list}\n")
        list(APPEND CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${file})
    endif()
endforeach()
