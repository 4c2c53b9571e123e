# SPDX-License-Identifier: Apache-2.0
"""The wheel has an extension, which is there already: it is for one platform, and for every Python from 3.11 on."""
from setuptools import Distribution, setup


class Binary(Distribution):
    def has_ext_modules(self):
        return True


setup(distclass=Binary, options={"bdist_wheel": {"py_limited_api": "cp311"}})
