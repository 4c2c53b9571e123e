# SPDX-License-Identifier: Apache-2.0
"""Publishes what a model's SDK gives, text by text, and prints it as a reader gets it. The SDKs' streams are async
iterators of objects:

    stream = await openai.chat.completions.create(..., stream=True)
    stream = await anthropic.messages.create(..., stream=True)

Here they come from a file of server-sent events, as the service sent them:

    python3 model_streams.py openai|anthropic FILE SESSION
"""
import asyncio
import json
import sys
from types import SimpleNamespace

import sponson


async def recorded(file, pause=0.0):
    """Stands for the SDK's stream."""
    parser = sponson.SseParser()
    with open(file, "rb") as lines:
        for line in lines:
            for event in parser.feed(line):
                await asyncio.sleep(pause)
                if event.data != "[DONE]":
                    yield json.loads(event.data, object_hook=lambda each: SimpleNamespace(**each))


async def openai_texts(stream):
    async for chunk in stream:
        for choice in chunk.choices:
            if text := getattr(choice.delta, "content", None):
                yield text


async def anthropic_texts(stream):
    async for event in stream:
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            yield event.delta.text


TEXTS_OF = {"openai": openai_texts, "anthropic": anthropic_texts}


async def publish_answer(producer, session, texts):
    """Each text is on disk before the next is asked for. A stream that fails is closed as such."""
    try:
        async for text in texts:
            await producer.publish(session, text)
    except Exception:
        await producer.close_session(session, reason="failed")
        raise
    await producer.close_session(session, reason="complete")


async def main(kind, file, session):
    async with sponson.connect() as client, await client.producer() as producer:
        publishing = asyncio.create_task(publish_answer(producer, session, TEXTS_OF[kind](recorded(file))))
        async for item in client.subscribe(session, otherwise="wait"):
            if isinstance(item, sponson.Event):
                print(item.data, end="", flush=True)
            elif isinstance(item, sponson.End):
                print(f"\n{item.reason}")
        await publishing


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
