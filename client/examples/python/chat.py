# SPDX-License-Identifier: Apache-2.0
"""A chat whose answers survive. POST /answers starts one and says where it is; GET reads it, and whoever was cut off
goes on after the last event that they got, even if the sidecar was killed in between.

    ANSWER=recorded.sse uvicorn chat:app           (the file: a stream of OpenAI's, which stands for a model)
"""
import asyncio
import contextlib
import os
import uuid

import sponson
from model_streams import openai_texts, publish_answer, recorded
from sponson.starlette import SessionResponse
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def ask(request):
    name = str(uuid.uuid4())
    texts = openai_texts(recorded(os.environ["ANSWER"], pause=0.02))
    # The answer belongs to no request: it is written to its end, whoever reads it.
    answer = asyncio.create_task(publish_answer(request.app.state.producer, f"answer-{name}", texts))
    request.app.state.answers.add(answer)
    answer.add_done_callback(request.app.state.answers.discard)
    return JSONResponse({"answer": f"/answers/{name}"}, status_code=202)


async def read(request):
    return SessionResponse(request.app.state.client, f"answer-{request.path_params['name']}")


@contextlib.asynccontextmanager
async def lifespan(app):
    async with sponson.connect() as client, await client.producer() as producer:
        app.state.client, app.state.producer, app.state.answers = client, producer, set()
        yield
        await asyncio.gather(*app.state.answers, return_exceptions=True)


app = Starlette(
    lifespan=lifespan,
    routes=[Route("/answers", ask, methods=["POST"]), Route("/answers/{name}", read)],
)
