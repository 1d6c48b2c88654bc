import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as IpcRequest from "../../../src/protocol/wire/IpcRequest.ts"
import * as LocalPilotctl from "../../support/LocalPilotctl.ts"
import * as McpOverPilot from "../../support/McpOverPilot.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const KILLS = Number(process.env["AUDIT_CRASHES"] ?? 2)

const policy = (...denied: ReadonlyArray<string>) =>
  `{\n  "version": 1,\n  "rules": [\n    { "effect": "deny", "who": ["trusted"], "what": ${JSON.stringify(denied)} }\n  ]\n}\n`
const halfOf = (text: string) => text.slice(0, text.length >> 1)

const json = (home: string, ...args: ReadonlyArray<string>) => LocalPilotctl.run(home, ["--json", ...args])

/** A pair of trusted nodes, the second with a policy from its first moment. */
const pairUnder = Effect.fnUntraced(function* (text: string) {
  const network = yield* PilotNetwork.make
  mkdirSync(network.home("bravo"), { mode: 0o700 })
  writeFileSync(`${network.home("bravo")}/policy.jsonc`, text, { mode: 0o600 })
  const [alpha, bravo] = yield* PilotNetwork.startPair(network, "alpha", "bravo")
  return { network, alpha, bravo }
})

/** Datagrams that the other side denies and notes, for as long as the scope lasts. */
const flood = Effect.fnUntraced(function* (
  from: PilotNetwork.Daemon,
  to: PilotNetwork.Daemon
): Effect.fn.Return<void, never, Scope.Scope> {
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => connect(`${from.home}/pilot.sock`)),
    (opened) => Effect.sync(() => opened.destroy())
  )
  const address = Address.make(0, to.node)
  const frame = IpcRequest.encode({ _tag: "SendTo", address, port: Address.Port(53), data: Bytes.fromUtf8("no") })
  const send = Effect.sync(() => void socket.write(frame))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(send, Effect.sleep("5 millis"))))
})

describe("policy and audit log while processes are killed", () => {
  it.live(
    "the audit log: kill -9 while it is written; what was there is there and verifies, and a torn end is cut off and said",
    () =>
      Effect.gen(function* () {
        const { alpha, bravo, network } = yield* pairUnder(policy("datagram"))
        const files = () => readdirSync(`${bravo.home}/audit`).filter((name) => name.endsWith(".jsonl"))
        const newest = () => `${bravo.home}/audit/${files().sort().at(-1)}`
        const whole = () => readFileSync(newest(), "utf8").split("\n").slice(0, -1)
        yield* flood(alpha, bravo)
        let pid = bravo.pid
        for (let kill = 0; kill < KILLS; kill++) {
          const from = whole().length
          const more = 1 + Math.floor(Math.random() * 50)
          yield* PilotProcesses.until(Effect.sync(() => whole().length >= from + more))
          const kept = (yield* json(bravo.home, "audit", "verify")).data
          assert.strictEqual(kept["whole"], true)
          const end = `${Json.integer(kept, "last_seq")}:${Json.string(kept, "last_hash")}`
          yield* PilotProcesses.until(Effect.sync(() => whole().length > Json.integer(kept, "last_seq")))
          const seen = whole()
          yield* PilotProcesses.killNow(pid)
          // What a machine that lost its power in the middle of a write leaves behind.
          const torn = kill % 2 === 0 ? '{"seq":99999,"time":"2026-' : ""
          appendFileSync(newest(), torn)
          pid = (yield* PilotNetwork.startDaemon(network, "bravo")).pid

          const verdict = yield* json(bravo.home, "audit", "verify", "--expect", end)
          assert.deepStrictEqual([verdict.exit, verdict.data["whole"]], [0, true], verdict.stdout)
          const after = whole()
          assert.deepStrictEqual(after.slice(0, seen.length), seen, `after kill ${kill}`)
          const repairs = after.flatMap((line) => (line.includes('"kind":"repaired"') ? [Json.parseObject(line)] : []))
          assert.strictEqual(repairs.length, Math.floor(kill / 2) + 1, "each torn end is told once")
          if (torn !== "") assert.isAtLeast(Json.integer(repairs.at(-1) ?? {}, "bytes"), torn.length)
        }
        const { stdout } = yield* LocalPilotctl.run(bravo.home, ["audit", "tail", "--kind", "repaired"])
        assert.match(stdout, /repaired +bytes=\d+/)
      }).pipe(Effect.scoped),
    60_000 + KILLS * 60_000
  )

  it.live(
    "a file half-written while the node runs changes nothing, and keeps a node that was killed from starting",
    () =>
      Effect.gen(function* () {
        const { alpha, bravo, network } = yield* pairUnder(policy("messages"))
        const path = `${bravo.home}/policy.jsonc`
        const status = Effect.map(json(bravo.home, "policy", "status"), ({ data }) => data)
        const send = json(alpha.home, "send-message", "bravo", "--data", "x")
        assert.notStrictEqual((yield* send).exit, 0)

        writeFileSync(path, halfOf(policy("echo")))
        yield* PilotProcesses.until(Effect.map(status, ({ problem }) => problem !== undefined))
        const { problem, revision } = yield* status
        assert.strictEqual(Json.isObject(problem) && Json.integer(problem, "line"), 4, JSON.stringify(problem))
        assert.match((yield* LocalPilotctl.run(bravo.home, ["info"])).stdout, /line 4/)
        assert.notStrictEqual((yield* send).exit, 0)

        yield* PilotProcesses.killNow(bravo.pid)
        const refused = yield* Effect.flip(PilotNetwork.startDaemon(network, "bravo"))
        assert.match(refused.message + refused.output, /policy\.jsonc, line 4/)
        writeFileSync(path, policy("messages"))
        yield* PilotNetwork.startDaemon(network, "bravo")
        writeFileSync(path, policy("echo"))
        yield* PilotProcesses.until(Effect.map(status, (now) => Json.integer(now, "revision") !== revision))
        yield* PilotProcesses.until(Effect.map(send, ({ exit }) => exit === 0))
        assert.strictEqual((yield* status)["problem"], undefined)
      }).pipe(Effect.scoped),
    180_000
  )

  it.live(
    "the keeper goes on denying while its daemon is gone and when it is back, and then learns what was changed meanwhile",
    () =>
      Effect.gen(function* () {
        const { alpha, bravo, network } = yield* pairUnder(policy("mcp/desk/write"))
        const written = `${network.directory}/written`
        yield* Pilotctl.run(
          ...([bravo.home, "mcp", "expose", "desk", "--allow", "alpha"] as const),
          ...["--", process.execPath, "-e", DESK, written]
        )
        const desk = yield* McpOverPilot.sdk1(alpha.home, "bravo/desk")
        assert.strictEqual(yield* desk.call("read", {}), "done: read")
        assert.match(yield* desk.call("write", {}), /^Denied/)

        yield* PilotProcesses.killNow(bravo.pid)
        const waiting = yield* Effect.forkChild(desk.call("write", {}))
        const reading = yield* Effect.forkChild(desk.call("read", {}))
        yield* PilotProcesses.until(
          Effect.map(json(bravo.home, "mcp", "status"), ({ stdout }) => stdout.includes("The daemon is gone"))
        )
        const again = yield* PilotNetwork.startDaemon(network, "bravo")
        assert.strictEqual(yield* Fiber.join(reading), "done: read")
        assert.match(yield* Fiber.join(waiting), /^Denied/)
        assert.isFalse(existsSync(written))

        // What may be done is turned round while nobody could tell the keeper.
        yield* PilotProcesses.killNow(again.pid)
        writeFileSync(`${bravo.home}/policy.jsonc`, policy("mcp/desk/read"))
        yield* PilotNetwork.startDaemon(network, "bravo")
        yield* PilotProcesses.until(Effect.map(desk.call("read", {}), (text) => text.startsWith("Denied")))
        assert.strictEqual(yield* desk.call("write", {}), "done: write")
        assert.isTrue(existsSync(written))
      }).pipe(Effect.scoped),
    180_000
  )
})

/** An MCP server of two tools, which notes in a file that it was told to write. */
const DESK = `
const { appendFileSync } = require("node:fs")
let text = ""
process.stdin.on("data", (chunk) => {
  text += chunk
  for (let at = text.indexOf("\\n"); at >= 0; at = text.indexOf("\\n")) {
    const { id, method, params } = JSON.parse(text.slice(0, at))
    text = text.slice(at + 1)
    if (method === "tools/call" && params.name === "write") appendFileSync(process.argv[1], "written\\n")
    const tools = ["read", "write"].map((name) => ({ name, description: name, inputSchema: { type: "object" } }))
    const results = {
      initialize: { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "desk", version: "1" } },
      "tools/list": { tools },
      "tools/call": { content: [{ type: "text", text: "done: " + (params ? params.name : "") }] }
    }
    if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, result: results[method] ?? {} }))
  }
})
`
