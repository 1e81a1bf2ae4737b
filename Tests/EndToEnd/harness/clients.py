"""The real clients of the dialects: how each is asked, what of its answers is kept, and what a record of them has to say.

The names of a class: the `dialect`; `identity`, the answer's id; `counted`, where the record has its counts from; by model the `reasons` of the finish
and the token-bearing `events`; `failure`, the library's error for one within the stream (None where it is an event like others), and what the
record calls it; `early`, the tokens of an answer that the client left, and where they are from; `server`, the times that the server states.
"""

import dataclasses
import json

import anthropic
import cohere
import ollama
import openai
from google import genai
from mistralai.client import Mistral, errors

from harness.dialects import WORDS


@dataclasses.dataclass
class Heard:
    """What a client's library made of an answer."""

    text: str = ""
    input: int | None = None
    output: int | None = None
    finish: str | None = None
    tool: str | None = None
    arguments: str = ""


class OpenAIChat:
    dialect, identity, counted = "openai.chat", "chatcmpl-7", "usage"
    reasons = {"tale": "stop", "tools": "tool_calls"}
    failure, failed_as = openai.APIError, "server_error"
    early = (len(WORDS), "events")
    server = None
    events = {"tale": 5, "tools": 3}

    def __init__(self, url: str):
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-none", timeout=30, max_retries=0)

    def ask(self, model: str, stream: bool):
        more = {"stream_options": {"include_usage": True}} if stream else {}
        return self.client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}], stream=stream, **more
        )

    def take(self, part, heard: Heard) -> None:
        if part.usage:
            heard.input, heard.output = part.usage.prompt_tokens, part.usage.completion_tokens
        for choice in part.choices:
            said = choice.delta if hasattr(choice, "delta") else choice.message
            heard.text += said.content or ""
            heard.finish = choice.finish_reason or heard.finish
            for call in said.tool_calls or []:
                heard.tool = call.function.name or heard.tool
                heard.arguments += call.function.arguments or ""

    take_whole = take

    def leave(self, stream) -> None:
        stream.close()


class OpenAIResponses(OpenAIChat):
    dialect, identity = "openai.responses", "resp_7"
    reasons = {"tale": "completed", "tools": "completed"}
    # The event of an error is one like the others to this library.
    failure, failed_as = None, "overloaded"
    events = {"tale": 5, "tools": 2}

    def ask(self, model: str, stream: bool):
        return self.client.responses.create(model=model, input="hi", stream=stream)

    def take(self, part, heard: Heard) -> None:
        if part.type == "response.output_text.delta":
            heard.text += part.delta
        elif part.type == "response.output_item.added" and part.item.type == "function_call":
            heard.tool = part.item.name
        elif part.type == "response.function_call_arguments.delta":
            heard.arguments += part.delta
        elif part.type == "response.completed":
            self.take_end(part.response, heard)
        elif part.type == "error":
            heard.finish = part.code

    def take_end(self, response, heard: Heard) -> None:
        heard.input, heard.output = response.usage.input_tokens, response.usage.output_tokens
        heard.finish = response.status

    def take_whole(self, response, heard: Heard) -> None:
        self.take_end(response, heard)
        heard.text = response.output_text
        for item in response.output:
            if item.type == "function_call":
                heard.tool, heard.arguments = item.name, item.arguments


class AnthropicMessages:
    dialect, identity, counted = "anthropic.messages", "msg_7", "usage"
    reasons = {"tale": "end_turn", "tools": "tool_use"}
    failure, failed_as = anthropic.APIStatusError, "overloaded_error"
    early = (len(WORDS), "events")
    server = None
    events = {"tale": 5, "tools": 2}

    def __init__(self, url: str):
        self.client = anthropic.Anthropic(base_url=url, api_key="none", timeout=30, max_retries=0)

    def ask(self, model: str, stream: bool):
        return self.client.messages.create(
            model=model, max_tokens=64, messages=[{"role": "user", "content": "hi"}], stream=stream
        )

    def take(self, part, heard: Heard) -> None:
        if part.type == "message_start":
            heard.input = part.message.usage.input_tokens
        elif part.type == "content_block_start" and part.content_block.type == "tool_use":
            heard.tool = part.content_block.name
        elif part.type == "content_block_delta" and part.delta.type == "text_delta":
            heard.text += part.delta.text
        elif part.type == "content_block_delta" and part.delta.type == "input_json_delta":
            heard.arguments += part.delta.partial_json
        elif part.type == "message_delta":
            heard.output, heard.finish = part.usage.output_tokens, part.delta.stop_reason

    def take_whole(self, message, heard: Heard) -> None:
        heard.input, heard.output = message.usage.input_tokens, message.usage.output_tokens
        heard.finish = message.stop_reason
        for block in message.content:
            if block.type == "text":
                heard.text += block.text
            else:
                heard.tool, heard.arguments = block.name, json.dumps(block.input)

    def leave(self, stream) -> None:
        stream.close()


class GoogleGemini:
    dialect, identity, counted = "gemini.generate", "g7", "usage"
    reasons = {"tale": "STOP", "tools": "STOP"}
    failure, failed_as = genai.errors.APIError, "503"
    early = (len(WORDS), "continuous")
    server = None
    events = {"tale": 5, "tools": 1}

    def __init__(self, url: str):
        options = genai.types.HttpOptions(base_url=url, timeout=30_000)
        self.client = genai.Client(api_key="none", http_options=options)

    def ask(self, model: str, stream: bool):
        models = self.client.models
        return (models.generate_content_stream if stream else models.generate_content)(model=model, contents="hi")

    def take(self, part, heard: Heard) -> None:
        heard.input = part.usage_metadata.prompt_token_count
        heard.output = part.usage_metadata.candidates_token_count
        for candidate in part.candidates:
            heard.finish = candidate.finish_reason.value if candidate.finish_reason else heard.finish
            for piece in candidate.content.parts:
                heard.text += piece.text or ""
                if piece.function_call:
                    heard.tool, heard.arguments = piece.function_call.name, json.dumps(piece.function_call.args)

    take_whole = take

    def leave(self, stream) -> None:
        stream.close()


class CohereChat:
    dialect, identity, counted = "cohere.chat", "c7", "usage"
    reasons = {"tale": "COMPLETE", "tools": "TOOL_CALL"}
    failure, failed_as = None, "ERROR"
    early = (len(WORDS), "events")
    server = None
    events = {"tale": 5, "tools": 3}

    def __init__(self, url: str):
        self.client = cohere.ClientV2(api_key="none", base_url=url, timeout=30)

    def ask(self, model: str, stream: bool):
        chat = self.client.chat_stream if stream else self.client.chat
        return chat(model=model, messages=[{"role": "user", "content": "hi"}])

    def take(self, part, heard: Heard) -> None:
        if part.type == "content-delta":
            heard.text += part.delta.message.content.text
        elif part.type == "tool-call-start":
            heard.tool = part.delta.message.tool_calls.function.name
        elif part.type == "tool-call-delta":
            heard.arguments += part.delta.message.tool_calls.function.arguments
        elif part.type == "message-end":
            heard.finish = part.delta.finish_reason
            if part.delta.usage:
                self.take_usage(part.delta.usage, heard)

    def take_usage(self, usage, heard: Heard) -> None:
        heard.input, heard.output = int(usage.tokens.input_tokens), int(usage.tokens.output_tokens)

    def take_whole(self, answer, heard: Heard) -> None:
        self.take_usage(answer.usage, heard)
        heard.finish = answer.finish_reason
        for block in answer.message.content or []:
            heard.text += block.text
        for call in answer.message.tool_calls or []:
            heard.tool, heard.arguments = call.function.name, call.function.arguments

    def leave(self, stream) -> None:
        stream.close()


class MistralChat(OpenAIChat):
    # One more than with OpenAI: an empty delta, here beside the finish, is a token without text.
    identity, events = "0f3e", {"tale": 6, "tools": 2}
    # The library knows no errors within a stream: such an event is one that it cannot read.
    failure = errors.ResponseValidationError

    def __init__(self, url: str):
        self.client = Mistral(api_key="none", server_url=f"{url}/mistral", timeout_ms=30_000)

    def ask(self, model: str, stream: bool):
        chat = self.client.chat
        return (chat.stream if stream else chat.complete)(model=model, messages=[{"role": "user", "content": "hi"}])

    def take(self, part, heard: Heard) -> None:
        super().take(part.data, heard)

    def take_whole(self, answer, heard: Heard) -> None:
        super().take(answer, heard)

    def leave(self, stream) -> None:
        stream.response.close()


class OllamaChat:
    dialect, identity, counted = "ollama.chat", None, "server"
    reasons = {"tale": "stop", "tools": "stop"}
    failure, failed_as = ollama.ResponseError, "error"
    early = (len(WORDS), "events")
    server = {"load_ms": 20, "prefill_ms": 80, "decode_ms": 600, "total_ms": 700}
    events = {"tale": 5, "tools": 1}

    def __init__(self, url: str):
        self.client = ollama.Client(host=url, timeout=30)

    def ask(self, model: str, stream: bool):
        return self.client.chat(model, messages=[{"role": "user", "content": "hi"}], stream=stream)

    def take(self, part, heard: Heard) -> None:
        heard.text += part.message.content or ""
        self.take_end(part, heard)
        for call in part.message.tool_calls or []:
            heard.tool, heard.arguments = call.function.name, json.dumps(call.function.arguments)

    def take_end(self, part, heard: Heard) -> None:
        if part.done:
            heard.input, heard.output, heard.finish = part.prompt_eval_count, part.eval_count, part.done_reason

    def take_whole(self, part, heard: Heard) -> None:
        self.take(part, heard)

    def leave(self, stream) -> None:
        stream.close()


class OllamaGenerate(OllamaChat):
    dialect = "ollama.generate"

    def ask(self, model: str, stream: bool):
        return self.client.generate(model, prompt="hi", stream=stream)

    def take(self, part, heard: Heard) -> None:
        heard.text += part.response
        self.take_end(part, heard)


ALL = [
    OpenAIChat,
    OpenAIResponses,
    AnthropicMessages,
    GoogleGemini,
    CohereChat,
    MistralChat,
    OllamaChat,
    OllamaGenerate,
]
