// SPDX-License-Identifier: Apache-2.0
// The page. The chat's id is in its address, so that a page that is reloaded goes on with the same chat: it gets the
// messages that are complete, and useChat the answer that is under way.
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport, generateId } from "ai";
import { createRoot } from "react-dom/client";

const transport = new DefaultChatTransport({ api: "/api/chat" });
const textOf = ({ parts }) => parts.map((part) => (part.type === "text" ? part.text : "")).join("");

function Chat({ id, stored }) {
  const { messages, sendMessage, status, error } = useChat({ id, messages: stored, transport, resume: true });
  const ask = (event) => {
    event.preventDefault();
    sendMessage({ text: event.target.question.value });
    event.target.reset();
  };
  return (
    <>
      {messages.map((message) => (
        <p key={message.id} className={message.role}>
          {textOf(message)}
        </p>
      ))}
      <form onSubmit={ask}>
        <input name="question" aria-label="Question" required autoFocus />
        <button disabled={status === "submitted" || status === "streaming"}>Ask</button>
        <output>{error ? error.message : status}</output>
      </form>
    </>
  );
}

location.hash ||= generateId();
const id = location.hash.slice(1);
const stored = await (await fetch(`/api/chat/${id}`)).json();
createRoot(document.getElementById("chat")).render(<Chat id={id} stored={stored} />);
