/** Commands of single datagrams, which may be lost (cli §6; wire §11). */
import { Duration, Effect, Option, Queue, Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Output, output, silent } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"

const listen: Command = {
  name: "listen",
  usage: "<port>",
  summary: "Prints the datagrams that come to a port of this node",
  returns: "messages [src_addr, src_port, data, bytes], timeout; without --count one object a line",
  flags: [
    { name: "count", value: "number", summary: "how many to wait for (default 0: for ever)" },
    { name: "timeout", value: "duration", summary: "how long to wait in all (default 0: for ever)" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const port = yield* Effect.fromResult(Result.flatMap(Values.positional(listen, input, 0), Values.port))
    const count = yield* Effect.fromResult(Values.count(input, "count", 0))
    const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", 0))
    const client = yield* DaemonClient.connect
    const received = yield* client.datagrams(WAITING_MAX)
    yield* Terminal.note(input, `listening on port ${port} — waiting for datagrams...`)
    const messages: Array<JsonObject> = []
    let heard = 0
    const next = Effect.gen(function* () {
      const datagram = yield* Queue.take(received)
      if (datagram.destinationPort !== port) return
      heard++
      const [source, data] = [Address.format(datagram.source), Bytes.toUtf8Lossy(datagram.payload)]
      const row = { bytes: datagram.payload.length, data, src_addr: source, src_port: datagram.sourcePort }
      if (count > 0) messages.push(row)
      if (!input.json) return yield* Terminal.line(`[${source}:${datagram.sourcePort}] ${data}`)
      if (count === 0) yield* Terminal.line(GoJson.encode(row))
    })
    const all = DaemonClient.ask("listen", Effect.repeat(next, { while: () => count === 0 || heard < count }))
    const done = Duration.toMillis(timeout) === 0 ? Effect.asSome(all) : Effect.timeoutOption(all, timeout)
    const isTimeout = Option.isNone(yield* done)
    if (isTimeout) yield* Terminal.note(input, "timeout")
    if (count === 0) return silent()
    return output({ messages: messages.length === 0 ? null : messages, timeout: isTimeout }, "")
  })
}

const dgram: Command = {
  name: "dgram",
  usage: "<address|hostname> <port>",
  summary: "Sends one datagram to a port of a peer; it may be lost",
  returns: "target, port, bytes",
  flags: [{ name: "data", value: "text", placeholder: "msg", isRequired: true, summary: "the datagram" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(dgram, input, 0))
    const port = yield* Effect.fromResult(Result.flatMap(Values.positional(dgram, input, 1), Values.port))
    const data = Values.text(input, "data")
    if (data === undefined) return yield* CliError.invalidArgument("--data is required")
    const client = yield* DaemonClient.connect
    const address = yield* DaemonClient.target(client, input, text)
    const payload = Bytes.fromUtf8(data)
    yield* DaemonClient.ask("dgram", client.sendToConfirmed(address, Address.Port(port), payload))
    return output({ bytes: payload.length, port, target: Address.format(address) })
  })
}

const broadcast: Command = {
  name: "broadcast",
  usage: "<network_id> <message>",
  summary: "Sends a datagram to every member of a network of this node that it trusts by it; each may be lost",
  returns: "network, port, bytes, sent [node_id], failed [node_id, error]",
  flags: [{ name: "port", value: "number", summary: "port it goes to (default 1000)" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = yield* Effect.fromResult(Values.positional(broadcast, input, 0))
    const message = yield* Effect.fromResult(Values.positional(broadcast, input, 1))
    const port = yield* Effect.fromResult(Values.port(Values.text(input, "port") ?? "1000"))
    const client = yield* DaemonClient.connect
    const listed = yield* DaemonClient.ask("broadcast", client.extension("network.list", {}))
    const found = Json.objects(listed, "networks").find(
      (row) => Json.string(row, "name") === text || String(Json.integer(row, "number")) === text
    )
    if (found === undefined)
      return yield* CliError.make("not_found", `this node is in no network ${text}`, "pilotctl network list shows them")
    const network = Json.integer(found, "number")
    const payload = Bytes.fromUtf8(message)
    const value = { network, port, data: Bytes.toBase64(payload) }
    const reply = yield* DaemonClient.ask("broadcast", client.extension("network.broadcast", value))
    const [sent, failed] = [Json.objects(reply, "sent"), Json.objects(reply, "failed")]
    const data = { network, port, bytes: payload.length, sent, failed }
    const lines = failed.map((row) => `  not to node ${Json.integer(row, "node_id")}: ${Json.string(row, "error")}`)
    return output(data, [`sent to ${sent.length} members of ${Json.string(found, "name")}`, ...lines].join("\n"))
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [listen, dgram, broadcast]

/** Datagrams that wait to be printed; the oldest are dropped. */
const WAITING_MAX = 1024
