# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json


@dataclasses.dataclass
class JSONRPCMessage:
    content: dict

    def model_dump_json(self, by_alias=False, exclude_none=False):
        assert by_alias and exclude_none
        return json.dumps(self.content)

    @classmethod
    def model_validate_json(cls, text):
        return cls(json.loads(text))
