import { createHash, randomBytes } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"
import * as Hosts from "./Hosts.ts"

const BODY = randomBytes(5 << 20)
const SHA = createHash("sha256").update(BODY).digest("hex")

/** A page, an upload, and a stream whose next part waits until the client has asked for it. */
const makeSite = () => {
  let next = () => {}
  return Http.createServer((request, response) => {
    if (request.url === "/next") {
      next()
      response.end()
    } else if (request.url === "/stream") {
      response.writeHead(200, { "content-type": "text/event-stream" }).write("data: one\n\n")
      next = () => response.end("data: two\n\n")
    } else if (request.method === "POST") {
      const hash = createHash("sha256")
      request.on("data", (chunk) => hash.update(chunk))
      request.on("end", () => response.end(hash.digest("hex")))
    } else {
      const caller = request.headers["pilot-caller-hostname"] ?? "nobody in particular"
      response.end(`<p>page for ${caller}</p>`)
    }
  })
}

/** Writes, ends, and reads to the end. */
const exchange = (place: string, text: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const [host = "", port] = place.split(":")
    let heard = ""
    const socket = Net.connect({ host, port: Number(port), allowHalfOpen: true }, () => socket.end(text))
    socket.on("data", (chunk) => {
      heard += chunk.toString()
    })
    socket.on("close", () => resume(Effect.succeed(heard)))
    socket.on("error", () => {})
  })

describe.skipIf(!Hosts.isPossible)("the gateway between two hosts (needs Linux, curl)", () => {
  it.live(
    "curl reaches a peer's server by address, by mapping, through the proxy and by SOCKS; it survives a daemon's restart",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { agent, host, network } = yield* Hosts.make
          const port = yield* Hosts.serve(makeSite())
          const halfPort = yield* Hosts.serve(
            Net.createServer({ allowHalfOpen: true }, (socket) => {
              let heard = 0
              socket.on("data", (chunk) => {
                heard += chunk.length
              })
              socket.on("end", () => socket.end(`heard ${heard}`))
            })
          )
          yield* Hosts.gateway(host, "--ports", `${port},${halfPort}`, "--allow", "agent", "self")
          const here = yield* Hosts.gateway(
            agent,
            ...["--ports", `${port}`, "--subnet", "127.44.0.0/16", "mcp-host"],
            ...["--map", `127.0.0.1:0=mcp-host:${halfPort}`, "--proxy", "127.0.0.1:0"]
          )

          const page = "<p>page for nobody in particular</p>"
          const url = `http://127.44.0.1:${port}`
          assert.strictEqual(yield* Hosts.run("curl", "-s", url), page)
          const named = `http://mcp-host.pilot:${port}/`
          const proxy = Hosts.placeOf(here, "proxy")
          const token = readFileSync(`${agent.home}/gateway.token`, "utf8").trim()
          assert.strictEqual(yield* Hosts.run("curl", "-s", "-x", `http://any:${token}@${proxy}`, named), page)
          assert.strictEqual(yield* Hosts.run("curl", "-s", "-x", `socks5h://any:${token}@${proxy}`, named), page)
          const refused = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-x", `http://${proxy}`, named]
          assert.strictEqual(yield* Hosts.run("curl", ...refused), "407")

          writeFileSync(`${network.directory}/body`, BODY)
          assert.strictEqual(yield* Hosts.run("curl", "-s", "--data-binary", `@${network.directory}/body`, url), SHA)
          const stream = yield* Effect.promise(() => fetch(`${url}/stream`))
          const reader = stream.body?.getReader()
          const part = () => Effect.promise(async () => Buffer.from((await reader?.read())?.value ?? []).toString())
          assert.strictEqual(yield* part(), "data: one\n\n")
          yield* Hosts.run("curl", "-s", `${url}/next`)
          assert.strictEqual(yield* part(), "data: two\n\n")
          const place = Hosts.placeOf(here, "overlay_port")
          assert.strictEqual(yield* exchange(place, "x".repeat(100_000)), "heard 100000")
          const many = yield* Effect.forEach(Array.from({ length: 200 }), () => exchange(place, "hello"), {
            concurrency: 200
          })
          assert.deepStrictEqual([...new Set(many)], ["heard 5"])

          const again = yield* PilotProcesses.pilotctl(agent.home, [
            "--json",
            "gateway",
            "start",
            "--ports",
            "1",
            "mcp-host"
          ])
          assert.strictEqual(PilotProcesses.errorOf(again).code, "already_exists")
          const list = yield* Pilotctl.run(agent.home, "gateway", "list")
          assert.include(JSON.stringify(list), `"pilot_addr":"${host.address}"`)
          assert.deepInclude(yield* Pilotctl.run(agent.home, "gateway", "unmap", "127.44.0.1"), {
            unmapped: "127.44.0.1"
          })
          assert.strictEqual(
            PilotProcesses.errorOf(
              yield* PilotProcesses.pilotctl(agent.home, ["--json", "gateway", "unmap", "127.44.0.1"])
            ).code,
            "not_found"
          )

          yield* PilotProcesses.killNow(agent.pid)
          yield* PilotNetwork.startDaemon(network, "agent")
          assert.strictEqual(yield* exchange(place, "back"), "heard 4")
          yield* PilotProcesses.killNow(host.pid)
          yield* PilotNetwork.startDaemon(network, "mcp-host")
          yield* PilotProcesses.until(Effect.map(exchange(place, "again"), (heard) => heard === "heard 5"))

          yield* Pilotctl.run(agent.home, "gateway", "stop")
          assert.strictEqual(yield* here.process.exited, 0)
        })
      ),
    90_000
  )

  it.live(
    "an HTTP server behind --http hears who calls, and nobody else can say so",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { agent, host } = yield* Hosts.make
          const port = yield* Hosts.serve(makeSite())
          yield* Hosts.gateway(host, "--ports", `${port}`, "--http", "self")
          const here = yield* Hosts.gateway(agent, "--map", `127.0.0.1:0=mcp-host:${port}`)
          const url = `http://${Hosts.placeOf(here, "overlay_port")}`
          const lie = ["-H", "Pilot-Caller-Hostname: root"]
          assert.strictEqual(yield* Hosts.run("curl", "-s", ...lie, url), "<p>page for agent</p>")
          assert.strictEqual(yield* Hosts.run("curl", "-s", `${url}/next`, url), "<p>page for agent</p>")
        })
      ),
    60_000
  )
})
