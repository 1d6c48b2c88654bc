import { createSocket, type Socket } from "node:dgram"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"
import * as Hosts from "./Hosts.ts"

/** A nameserver that knows one address for every name, and gives back whole what is longer than a question. */
const nameserver = Effect.acquireRelease(
  Effect.callback<Socket>((resume) => {
    const socket = createSocket("udp4", (message, { address, port }) => {
      socket.send(message.length > 512 ? message : answerTo(message), port, address)
    })
    socket.bind(0, "127.0.0.1", () => resume(Effect.succeed(socket)))
  }),
  (socket) => Effect.sync(() => socket.close())
)

/** The question again, as an answer, and 192.0.2.7 (RFC 1035 §4). */
const answerTo = (question: Buffer): Buffer => {
  let end = 12
  while (question[end] !== 0) end += question[end]! + 1
  const asked = question.subarray(12, end + 5)
  const head = Buffer.from([question[0]!, question[1]!, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
  return Buffer.concat([head, asked, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7])])
}

/** What c-ares, the resolver that Node brings, hears from the server at this place. */
const resolve = (place: string, names: number) => Hosts.run(process.execPath, ...["-e", RESOLVE, place, String(names)])

const RESOLVE = `
const { Resolver } = require("node:dns").promises
const [place, names] = process.argv.slice(1)
const resolver = new Resolver({ timeout: 2000, tries: 5 })
resolver.setServers([place])
Promise.all(Array.from({ length: Number(names) }, (_, index) => resolver.resolve4("host" + index + ".example")))
  .then((found) => console.log([...new Set(found.flat())].join(), found.length))
`

/** Sends datagrams of this size and counts those that come back as they were. */
const echoed = (place: string, sizeBytes: number, count: number): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const [host = "", port] = place.split(":")
    const socket = createSocket("udp4")
    const body = Buffer.alloc(sizeBytes, 7)
    const missing = new Set(Array.from({ length: count }, (_, index) => index))
    const send = () => {
      for (const index of missing) socket.send(Buffer.concat([Buffer.from([index]), body]), Number(port), host)
    }
    const again = setInterval(send, 500)
    const finish = () => {
      clearInterval(again)
      clearTimeout(limit)
      socket.close()
      resume(Effect.succeed(count - missing.size))
    }
    const limit = setTimeout(finish, 15_000)
    socket.on("message", (bytes) => {
      if (bytes.length === sizeBytes + 1 && bytes.subarray(1).equals(body)) missing.delete(bytes[0]!)
      if (missing.size === 0) finish()
    })
    send()
  })

describe("UDP through the gateway between two hosts", () => {
  it.live(
    "a resolver asks a peer's nameserver, large datagrams come back whole, and a restarted daemon is found again",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { agent, host, network } = yield* Hosts.make
          const port = (yield* nameserver).address().port
          const there = yield* Hosts.gateway(host, "--udp", String(port), "self")
          const here = yield* Hosts.gateway(agent, "--map", `udp:127.0.0.1:0=mcp-host:${port}`)
          const place = Hosts.placeOf(here, "udp")
          assert.deepInclude(there.mappings[0], { udp: true, self: true, overlay_port: port })

          assert.strictEqual((yield* resolve(place, 20)).trim(), "192.0.2.7 20")
          assert.strictEqual(yield* echoed(place, 8_000, 10), 10)

          yield* Pilotctl.run(host.home, "daemon", "stop")
          yield* Pilotctl.run(host.home, "daemon", "start", ...PilotNetwork.flagsOf(network, "mcp-host"))
          assert.strictEqual((yield* resolve(place, 1)).trim(), "192.0.2.7 1")
          const listed = yield* PilotProcesses.pilotctl(agent.home, ["--json", "gateway", "list"])
          const [row] = Json.objects(Json.parseObject(listed.stdout)?.["data"] as Json.JsonObject, "mappings")
          assert.deepInclude(row, { peer: "mcp-host", overlay_port: port, udp: true })
        })
      ),
    60_000
  )
})
