/** `connect`: one message, or like netcat what is typed or piped (cli §6, node §3). */
import { Effect } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Input, type Output, silent } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as TrustFirst from "../trust/TrustFirst.ts"
import * as Values from "../Values.ts"
import * as Channel from "./Channel.ts"
import * as ExchangeDial from "./ExchangeDial.ts"
import * as Netcat from "./Netcat.ts"
import * as OneMessage from "./OneMessage.ts"

const connect: Command = {
  name: "connect",
  usage: "<address|hostname> [port]",
  summary: "Opens a stream to a peer: what is typed or piped goes there, what comes is printed; or one message",
  returns: "target, port, sent, response",
  flags: [
    { name: "message", value: "text", placeholder: "msg", summary: "one message, and its first answer" },
    { name: "port", value: "port", summary: "the same as the positional port (default 1000, with --secure 443)" },
    Channel.SECURE,
    {
      name: "timeout",
      value: "duration",
      summary: "how long to wait for an answer (default 30s; when typing for ever)"
    }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(connect, input, 0))
    const isSecure = Values.boolean(input, "secure") === true
    const chosen = input.positionals[1] ?? Values.text(input, "port")
    const orElse = isSecure ? Channel.SECURE_PORT : OneMessage.STDIO_PORT
    const port = yield* Effect.fromResult(Values.port(chosen ?? String(orElse)))
    const wanted = { text, port, isSecure, orElseInbox: chosen === undefined && !isSecure }
    const message = Values.text(input, "message")
    if (message === undefined && !input.json) return yield* interactive(input, wanted)
    return yield* OneMessage.exchange(input, wanted, {
      message: message ?? (yield* piped),
      timeoutHint: "increase with --timeout, or check if the target is listening on that port"
    })
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [connect]

/** With `--json` there is one answer, so there is one message: all of standard input. */
const piped = Effect.gen(function* () {
  const from = yield* Netcat.typed
  if (from.isTerminal)
    return yield* CliError.invalidArgument(
      "--message is required (interactive mode not supported)",
      "use --message to send a single message, or pipe data via stdin"
    )
  return yield* Netcat.whole(from, STDIN_BYTES_MAX)
})

const interactive = Effect.fnUntraced(function* (
  input: Input,
  wanted: OneMessage.Wanted
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const from = yield* Netcat.typed
  const client = yield* DaemonClient.connect
  yield* DaemonClient.ask("connect", client.knowEnds)
  const { address, target, timeout, via } = yield* OneMessage.reach(input, wanted, client)
  if (via._tag === "Port") {
    if (from.isTerminal) yield* Terminal.note(input, `connected to ${target} port ${wanted.port}; ctrl-d ends`)
    const halfCloses = Effect.map(Channel.abilities(client, address.node), (peer) => peer.halfCloses)
    const isPatient = from.isTerminal && Values.text(input, "timeout") === undefined
    return yield* Netcat.run(input, { ...via, from, halfCloses, timeout: isPatient ? undefined : timeout })
  }
  if (from.isTerminal) return yield* lines(input, from, client, via.peer)
  return yield* OneMessage.toInbox(client, input, via.peer, yield* Netcat.whole(from, STDIN_BYTES_MAX))
})

/** Nobody listens there, so each line that is typed becomes a message of its own, over one stream. */
const lines = Effect.fnUntraced(function* (
  input: Input,
  from: Netcat.Typed,
  client: DaemonClient.IpcClient,
  peer: TrustFirst.Options
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const [SendMessage, FrameLink] = yield* Effect.promise(() =>
    Promise.all([import("../../actors/services/client/SendMessage.ts"), import("../../actors/services/FrameLink.ts")])
  )
  const link = FrameLink.make(yield* TrustFirst.dial(client, input, peer))
  yield* Terminal.note(input, `nothing listens on port ${OneMessage.STDIO_PORT} there: each line goes to its inbox`)
  let begun = ""
  while (true) {
    const chunk = yield* from.next
    const complete = (begun + (chunk === undefined ? "\n" : Bytes.toUtf8Lossy(chunk))).split(/\r?\n/)
    begun = complete.pop() ?? ""
    for (const line of complete.filter((text) => text !== "")) {
      const sent = SendMessage.sendOn(link, SendMessage.KINDS.text, Bytes.fromUtf8(line))
      yield* Terminal.note(input, (yield* ExchangeDial.told(sent)) ?? "not acknowledged")
    }
    if (chunk === undefined) return silent()
  }
})

const STDIN_BYTES_MAX = 16 << 20
