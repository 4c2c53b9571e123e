# SPDX-License-Identifier: Apache-2.0
"""The shape of the MCP Python SDK, as far as sponson.mcp uses it. The SDK itself needs a newer pydantic than Debian 12
has."""
