import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Json from "../../src/core/data/Json.ts"
import * as CliRig from "../support/CliRig.ts"
import * as ModelDaemon from "../support/ModelDaemon.ts"

const INFO = ModelDaemon.answering({
  Info: ModelDaemon.json("Info", { address: "0:0000.0000.0002", hostname: "bravo", node_id: 2, uptime_secs: 3 })
})
const START = ["--json", "daemon", "start"]
const error = (stderr: string): Json.JsonObject => Json.parseObject(stderr) ?? {}

/** A state directory with files in it. */
const withFiles = (rig: CliRig.CliRig, files: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const system = yield* FileSystem.FileSystem
    yield* system.makeDirectory(`${rig.home}/.pilot`, { recursive: true })
    for (const [name, text] of Object.entries(files)) yield* system.writeFileString(`${rig.home}/.pilot/${name}`, text)
  }).pipe(Effect.provide(NodeFileSystem.layer), Effect.orDie)

describe("pilotctl daemon start", () => {
  it.effect("starts itself in the background, waits for Info, and says where it is (cli §3)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const daemon = ModelDaemon.make(undefined)
      rig.processes.start = () =>
        Effect.sync(() => {
          daemon.respond = INFO
          rig.processes.alive.add(11110)
          return { pid: 11110 }
        }).pipe(Effect.tap(withFiles(rig, { "pilot.pid": "11110" })))
      const human = yield* rig.run(daemon, ["daemon", "start", "--hostname", "bravo", "--public"])

      assert.deepStrictEqual(rig.processes.started, [["_daemon-run", "--json", "--hostname=bravo", "--public=true"]])
      assert.strictEqual(human.exit, 0)
      assert.strictEqual(
        human.stdout,
        `Daemon running (pid 11110)\n  Address:  0:0000.0000.0002\n  Hostname: bravo\n  Socket:   ${rig.socket}\n  Logs:     ${rig.home}/.pilot/pilot.log\n`
      )
      // A dot for each look at the socket: how many there are depends on how soon the daemon answers.
      assert.match(human.stderr, /^starting daemon \(pid 11110\)\.{3,}\n$/)
    })
  )

  it.effect("a second one is refused and the first unharmed (cli §3)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      yield* withFiles(rig, { "pilot.pid": "11095" })
      rig.processes.alive.add(11095)
      const byPid = yield* rig.run(ModelDaemon.make(INFO), START)
      assert.strictEqual(
        byPid.stderr,
        '{"code":"already_exists","hint":"stop it first with: pilotctl daemon stop","message":"daemon is already running (pid 11095)","status":"error"}\n'
      )

      rig.processes.alive.clear()
      const bySocket = yield* rig.run(ModelDaemon.make(INFO), START)
      assert.strictEqual(
        Json.string(error(bySocket.stderr), "message"),
        `daemon is already running (socket ${rig.socket} is active)`
      )
      assert.deepStrictEqual([rig.processes.started, rig.processes.signals], [[], []])
    })
  )

  it.effect("one that ends at once is reported in its own words, not after 15 s (cli §3, better)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      rig.processes.start = (_, logPath) =>
        Effect.gen(function* () {
          const files = yield* FileSystem.FileSystem
          yield* files.writeFileString(
            logPath,
            'level=INFO starting\n{"code":"connection_failed","hint":"start one","message":"cannot reach registry at 127.0.0.1:9000","status":"error"}\nlevel=INFO stopped\n'
          )
          return { pid: 5, exited: true as const }
        }).pipe(Effect.provide(NodeFileSystem.layer), Effect.orDie)
      const { exit, stderr } = yield* rig.run(ModelDaemon.make(undefined), START)

      assert.strictEqual(exit, 1)
      assert.strictEqual(
        stderr,
        '{"code":"connection_failed","hint":"start one","message":"cannot reach registry at 127.0.0.1:9000","status":"error"}\n'
      )
    })
  )

  it.effect("one that never answers is a time-out that names the log (cli §3)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      rig.processes.start = () => Effect.succeed({ pid: 29806 })
      const { exit, stderr } = yield* rig.run(ModelDaemon.make(undefined), START)

      assert.strictEqual(exit, 1)
      assert.strictEqual(
        stderr,
        `{"code":"timeout","hint":"check logs: tail -f ${rig.home}/.pilot/pilot.log","message":"daemon started (pid 29806) but did not become ready within 15s","status":"error"}\n`
      )
    })
  )

  it.effect("a wrong value is refused before anything is started", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const { stderr } = yield* rig.run(ModelDaemon.make(undefined), [...START, "--keepalive", "soon"])

      assert.strictEqual(Json.string(error(stderr), "code"), "invalid_argument")
      assert.match(Json.string(error(stderr), "message"), /invalid --keepalive "soon" \(command line\)/)
      assert.strictEqual(Json.string(error(stderr), "hint"), "see: pilotctl help daemon start")
    })
  )

  it.effect("a socket path that is too long is refused with its hint (node §1.1)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make({ PILOT_SOCKET: `/${"x".repeat(107)}` })
      const { stderr } = yield* rig.run(ModelDaemon.make(undefined), START)

      assert.strictEqual(Json.string(error(stderr), "code"), "invalid_argument")
      assert.match(Json.string(error(stderr), "message"), /^socket path is too long/)
    })
  )
})

describe("pilotctl daemon stop", () => {
  it.effect("ends the process of the pid file (cli §3)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      yield* withFiles(rig, { "pilot.pid": "11095" })
      rig.processes.alive.add(11095)
      const outcome = yield* rig.run(ModelDaemon.make(undefined), ["--json", "daemon", "stop"])

      assert.strictEqual(outcome.stdout, '{"data":{"pid":11095},"status":"ok"}\n')
      assert.deepStrictEqual(rig.processes.signals, [[11095, "SIGTERM"]])
    })
  )

  it.effect("cleans up after a dead one, and says so", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      yield* withFiles(rig, { "pilot.pid": "11095" })
      const outcome = yield* rig.run(ModelDaemon.make(undefined), ["daemon", "stop"])
      assert.strictEqual(outcome.stderr, "error: daemon is not running (cleaned up stale state)\n")

      const again = yield* rig.run(ModelDaemon.make(undefined), ["daemon", "stop"])
      assert.strictEqual(again.stderr, "error: daemon is not running\n")
    })
  )

  it.effect("finds a live socket without a pid file (cli §3)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const { stderr } = yield* rig.run(ModelDaemon.make(INFO), ["--json", "daemon", "stop"])

      assert.strictEqual(Json.string(error(stderr), "message"), "daemon socket is active but PID file is missing")
      assert.match(Json.string(error(stderr), "hint"), /lsof -U/)
    })
  )
})

describe("pilotctl shows a changed key", () => {
  const OLD = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"
  const NEW = "BBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBB"

  it.effect("with both fingerprints and the one way on, in every command that names a peer (security rule 1)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const moved = ModelDaemon.make(
        ModelDaemon.answering({
          ResolveHostname: [
            { _tag: "Error", code: 1, message: `resolve_hostname: name moved: "bravo" was ${OLD}, is ${NEW}` }
          ]
        })
      )
      for (const words of [
        ["ping", "bravo"],
        ["find", "bravo"],
        ["handshake", "bravo"],
        ["send", "bravo", "7", "--data", "x"]
      ]) {
        const { exit, stderr } = yield* rig.run(moved, ["--json", ...words])
        assert.strictEqual(exit, 1)
        assert.strictEqual(Json.string(error(stderr), "code"), "key_changed", words[0])
        assert.match(Json.string(error(stderr), "message"), new RegExp(`pinned ${OLD}, offered ${NEW}`))
        assert.match(Json.string(error(stderr), "hint"), /pilotctl trust accept-key bravo --fingerprint FINGERPRINT$/)
      }
    })
  )

  it.effect("and accepts one only with its fingerprint", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const daemon = ModelDaemon.make(
        ModelDaemon.answering({ Extension: ModelDaemon.json("Extension", { node_id: 2, fingerprint: NEW }) })
      )
      const without = yield* rig.run(daemon, ["trust", "accept-key", "bravo"])
      assert.match(without.stderr, /^error: --fingerprint is required\nhint: /)
      const malformed = yield* rig.run(daemon, ["trust", "accept-key", "bravo", "--fingerprint", "BBBB"])
      assert.match(malformed.stderr, /^error: not a fingerprint: BBBB\n/)
      assert.deepStrictEqual(daemon.asked, [])

      const accepted = yield* rig.run(daemon, ["trust", "accept-key", "bravo", "--fingerprint", NEW.toLowerCase()])
      assert.strictEqual(accepted.stdout, `key of node 2 accepted: ${NEW}\n`)
      assert.deepStrictEqual(daemon.asked, [
        { _tag: "Extension", op: "pin.accept", value: { fingerprint: NEW, name: "bravo", op: "pin.accept" } }
      ])
    })
  )

  it.effect("approve passes the fingerprint on to be compared", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const daemon = ModelDaemon.make(
        ModelDaemon.answering({
          Extension: ModelDaemon.json("Extension", { node_id: 1, status: "approved", fingerprint: NEW })
        })
      )
      const outcome = yield* rig.run(daemon, ["approve", "1", "--fingerprint", NEW])

      assert.strictEqual(outcome.stdout, `trust established with node 1\n  key: ${NEW}\n  try: pilotctl ping 1\n`)
      assert.deepStrictEqual(daemon.asked, [
        { _tag: "Extension", op: "approve", value: { fingerprint: NEW, node: 1, op: "approve" } }
      ])
    })
  )
})

describe("pilotctl help and context", () => {
  it.effect("help on standard output, usage for nothing or an unknown word on standard error (cli §1.2)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const nobody = ModelDaemon.make(undefined)
      const help = yield* rig.run(nobody, ["--help"])
      const none = yield* rig.run(nobody, [])
      const unknown = yield* rig.run(nobody, ["nosuchcmd"])
      const one = yield* rig.run(nobody, ["send", "-h"])

      assert.deepStrictEqual([help.exit, none.exit, unknown.exit, one.exit], [0, 2, 2, 0])
      assert.strictEqual(none.stderr, help.stdout)
      assert.strictEqual(unknown.stderr, `unknown command: nosuchcmd\n\n${help.stdout}`)
      assert.match(one.stdout, /--data <msg>/)
    })
  )

  it.effect("context lists every command of ours that the reference lists, with its keys (cli §2)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const { stdout } = yield* rig.run(ModelDaemon.make(undefined), ["--json", "context"])
      const data = Json.member(Json.parseObject(stdout) ?? {}, "data") as Json.JsonObject

      assert.deepStrictEqual(Object.keys(data).sort(), [
        "commands",
        "config_file",
        "environment",
        "error_codes",
        "global_flags",
        "version"
      ])
      const commands = data["commands"] as Json.JsonObject
      for (const name of ["info", "daemon start", "trust", "send", "rendezvous start", "mcp expose"])
        assert.deepStrictEqual(Object.keys(commands[name] as Json.JsonObject).sort(), [
          "args",
          "description",
          "returns"
        ])
    })
  )

  it.effect("version, however asked", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const nobody = ModelDaemon.make(undefined)
      assert.strictEqual((yield* rig.run(nobody, ["version"])).stdout, "pilotctl 0.0.0\n")
      assert.strictEqual(
        (yield* rig.run(nobody, ["--json", "--version"])).stdout,
        '{"data":{"version":"0.0.0"},"status":"ok"}\n'
      )
    })
  )
})
