/** Commands of one message each: to a port of a peer, and what comes to a port of this node (cli §6). */
import { Cause, Duration, Effect, Option, Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Flag, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as Channel from "./Channel.ts"
import * as OneMessage from "./OneMessage.ts"

const TIMEOUT: Flag = { name: "timeout", value: "duration", summary: "how long to wait for an answer (default 30s)" }

const send: Command = {
  name: "send",
  usage: "<address|hostname> <port>",
  summary: "Sends one message to a port of a peer and prints the first answer",
  returns: "target, port, sent, response",
  flags: [{ name: "data", value: "text", placeholder: "msg", isRequired: true, summary: "the message" }, TIMEOUT],
  run: Effect.fnUntraced(function* (input) {
    const text = yield* Effect.fromResult(Values.positional(send, input, 0))
    const port = yield* Effect.fromResult(Result.flatMap(Values.positional(send, input, 1), Values.port))
    const message = Values.text(input, "data")
    if (message === undefined) return yield* CliError.invalidArgument("--data is required")
    const wanted = { text, port, isSecure: false, orElseInbox: false }
    return yield* OneMessage.exchange(input, wanted, { message, timeoutHint: undefined })
  })
}

const recv: Command = {
  name: "recv",
  usage: "<port>",
  summary: "Binds a port and prints the first message of each stream that comes",
  returns: "messages [seq, port, data, bytes], timeout",
  flags: [
    { name: "count", value: "number", summary: "how many streams to wait for (default 1)" },
    { ...TIMEOUT, summary: "how long to wait in all (default 30s)" },
    Channel.SECURE
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const port = yield* Effect.fromResult(Result.flatMap(Values.positional(recv, input, 0), Values.port))
    const count = yield* Effect.fromResult(Values.count(input, "count", 1))
    const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", DEFAULT_TIMEOUT))
    const isSecure = Values.boolean(input, "secure") === true
    const client = yield* DaemonClient.connect
    const listener = yield* DaemonClient.ask("listen", client.bind(Address.Port(port)))
    const messages: Array<JsonObject> = []
    const next = Effect.gen(function* () {
      const connection = yield* DaemonClient.ask("recv", listener.accept)
      const channel = isSecure
        ? Channel.secure(client, connection, "server", "")
        : Effect.succeed(Channel.plain("", connection))
      const read = yield* Effect.result(Effect.flatMap(channel, (opened) => opened.read))
      yield* connection.end
      const heard = Result.isSuccess(read) ? Bytes.toUtf8Lossy(read.success) : undefined
      messages.push({ seq: messages.length, port, ...content(read) })
      if (heard !== undefined && !input.json) yield* Terminal.line(heard)
    })
    const all = Effect.repeat(next, { while: () => messages.length < count })
    const isTimeout = Option.isNone(yield* Effect.timeoutOption(all, timeout))
    if (isTimeout) yield* Terminal.note(input, "timeout")
    return output({ messages: messages.length === 0 ? null : messages, timeout: isTimeout }, "")
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [send, recv]

const content = (read: Result.Result<Uint8Array, CliError.CliError | Cause.Done>): JsonObject => {
  if (Result.isSuccess(read)) return { bytes: read.success.length, data: Bytes.toUtf8Lossy(read.success) }
  return { error: Cause.isDone(read.failure) ? "EOF" : read.failure.message }
}

const DEFAULT_TIMEOUT = Duration.seconds(30)
