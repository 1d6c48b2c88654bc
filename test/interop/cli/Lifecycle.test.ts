import { statSync } from "node:fs"
import { readdir, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import * as Pilotctl from "./Pilotctl.ts"

const LOOPBACK = ["--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"]
const LISTEN = ["--listen", "127.0.0.1:0"]

/** A rendezvous, and the flags that lead a node of another user to it. */
const rendezvous = Effect.gen(function* () {
  const owner = yield* Pilotctl.user("r")
  const { json, stderr } = yield* owner.run("--json", "rendezvous", "start", ...LOOPBACK)
  assert.strictEqual(stderr, "")
  const text = (key: string) => Json.string(json, key)
  const flags = [
    "--registry",
    text("registry"),
    "--beacon",
    text("beacon"),
    "--registry-fingerprint",
    text("fingerprint")
  ]
  return { owner, json, flags }
})

const start = (user: Pilotctl.User, flags: ReadonlyArray<string>, ...more: ReadonlyArray<string>) =>
  Effect.tap(user.run("--json", "daemon", "start", ...LISTEN, ...flags, ...more), ({ exit, stderr }) =>
    Effect.sync(() => assert.strictEqual(exit, 0, stderr))
  )

const codeOf = ({ json }: Pilotctl.Outcome): string => Json.string(json, "code")

describe("pilotctl, as processes", () => {
  it.live(
    "two nodes meet, compare fingerprints, trust, talk and part",
    () =>
      Effect.gen(function* () {
        const { flags } = yield* rendezvous
        const alpha = yield* Pilotctl.user("a")
        const bravo = yield* Pilotctl.user("b")
        yield* Effect.all([start(alpha, flags, "--hostname", "alpha"), start(bravo, flags, "--hostname", "bravo")], {
          concurrency: 2
        })
        const { json: info } = yield* alpha.run("--json", "info")
        const node = String(Json.integer(info, "node_id"))

        assert.strictEqual((yield* alpha.run("--json", "trust", "add", "bravo", "let us talk")).exit, 0)
        const { json: pending } = yield* eventually(
          bravo.run("--json", "pending"),
          ({ json }) => Json.objects(json, "pending").length === 1
        )
        assert.strictEqual(
          Json.string(Json.objects(pending, "pending")[0]!, "fingerprint"),
          Json.string(info, "fingerprint")
        )

        const wrong = yield* bravo.run(
          "--json",
          "approve",
          node,
          "--fingerprint",
          "0000-0000-0000-0000-0000-0000-0000-0000"
        )
        assert.strictEqual(wrong.exit, 1)
        const right = yield* bravo.run("--json", "approve", node, "--fingerprint", Json.string(info, "fingerprint"))
        assert.strictEqual(right.exit, 0, right.stderr)
        yield* eventually(alpha.run("--json", "trust"), ({ json }) => Json.objects(json, "trusted").length === 1)

        const echo = yield* alpha.run("--json", "connect", "bravo", "7", "--message", "hello")
        assert.strictEqual(Json.string(echo.json, "response"), "hello", echo.stderr)
        const { json: pinged } = yield* alpha.run("--json", "ping", "bravo", "--count", "1")
        assert.isNumber(Json.objects(pinged, "results")[0]?.["rtt_ms"])

        const receiving = yield* Effect.forkChild(
          bravo.run("--json", "recv", "5000", "--count", "2", "--timeout", "20s")
        )
        for (const data of ["m1", "m2"])
          yield* eventually(alpha.run("--json", "send", "bravo", "5000", "--data", data), ({ exit }) => exit === 0)
        const received = yield* Fiber.join(receiving)
        assert.deepStrictEqual(
          Json.objects(received.json, "messages").map((message) => message["data"]),
          ["m1", "m2"]
        )

        assert.strictEqual((yield* alpha.run("--json", "untrust", "bravo")).exit, 0)
        assert.strictEqual(codeOf(yield* alpha.run("--json", "untrust", "bravo")), "connection_failed")
        const { stdout } = yield* alpha.run("daemon", "stop")
        assert.match(stdout, /^daemon stopped \(pid \d+\)\n$/)
        assert.strictEqual((yield* alpha.run("daemon", "status", "--check")).exit, 1)
      }),
    PROCESSES_TIMEOUT
  )

  it.live(
    "a second daemon on the same state directory is refused, and the first one lives on",
    () =>
      Effect.gen(function* () {
        const { flags } = yield* rendezvous
        const alpha = yield* Pilotctl.user("a")
        const { json } = yield* start(alpha, flags)
        const again = yield* alpha.run("--json", "daemon", "start", ...flags)
        assert.strictEqual(codeOf(again), "already_exists")
        // With a socket of its own it finds the directory taken.
        const aside = yield* alpha.runWith(
          { PILOT_SOCKET: `${alpha.home}/other.sock` },
          "--json",
          "_daemon-run",
          ...LISTEN,
          ...flags
        )
        assert.strictEqual(
          Json.string(Json.parseObject(aside.stderr.trim().split("\n").at(-1) ?? "") ?? {}, "code"),
          "already_exists"
        )

        const { json: status } = yield* alpha.run("--json", "daemon", "status")
        assert.deepStrictEqual([status["running"], status["responsive"], status["pid"]], [true, true, json["pid"]])
        assert.strictEqual(statSync(`${alpha.home}/pilot.sock`).mode & 0o777, 0o600)
        assert.strictEqual(statSync(alpha.home).mode & 0o777, 0o700)
      }),
    PROCESSES_TIMEOUT
  )

  it.live(
    "nothing is left behind: no socket, no pid file, no temporary directory",
    () =>
      Effect.gen(function* () {
        const { owner, flags } = yield* rendezvous
        const alpha = yield* Pilotctl.user("a")
        yield* start(alpha, flags)
        yield* alpha.run("daemon", "stop")
        yield* owner.run("rendezvous", "stop")

        const left = yield* Effect.promise(async () => [...(await readdir(alpha.home)), ...(await readdir(owner.home))])
        assert.deepStrictEqual(
          left.filter((name) => /\.sock$|\.pid$|^\.p|rendezvous\.json/.test(name)),
          []
        )
      }),
    PROCESSES_TIMEOUT
  )

  it.live(
    "a node beside a rendezvous finds and pins it without flags",
    () =>
      Effect.gen(function* () {
        const { owner, json } = yield* rendezvous
        const { json: started } = yield* start(owner, [])
        assert.match(Json.string(started, "address"), /^0:0000\./)
        const { json: status } = yield* owner.run("--json", "rendezvous", "status")
        assert.strictEqual(status["fingerprint"], json["fingerprint"])
      }),
    PROCESSES_TIMEOUT
  )
})

describe("pilotctl says what is wrong", () => {
  it.live(
    "no registry: at once, with the address and the way on",
    () =>
      Effect.gen(function* () {
        const alpha = yield* Pilotctl.user("a")
        const outcome = yield* alpha.run("--json", "daemon", "start", ...LISTEN, "--registry", "127.0.0.1:1")

        assert.deepStrictEqual([outcome.exit, codeOf(outcome)], [1, "connection_failed"])
        assert.match(Json.string(outcome.json, "message"), /127\.0\.0\.1:1/)
        assert.match(Json.string(outcome.json, "hint"), /pilotctl rendezvous start/)
      }),
    PROCESSES_TIMEOUT
  )

  it.live(
    "another certificate than the pinned one",
    () =>
      Effect.gen(function* () {
        const { flags } = yield* rendezvous
        const alpha = yield* Pilotctl.user("a")
        const wrong = [...flags.slice(0, -1), "0".repeat(64)]
        const outcome = yield* alpha.run("--json", "daemon", "start", ...LISTEN, ...wrong)

        assert.deepStrictEqual([outcome.exit, codeOf(outcome)], [1, "key_changed"])
      }),
    PROCESSES_TIMEOUT
  )

  it.live(
    "a taken port, a foreign file in the way, an unwritable directory, a path too long",
    () =>
      Effect.gen(function* () {
        const { json, flags } = yield* rendezvous
        const other = yield* Pilotctl.user("o")
        const taken = yield* other.run(
          "--json",
          "rendezvous",
          "start",
          ...LOOPBACK,
          "--registry-addr",
          Json.string(json, "registry")
        )
        assert.deepStrictEqual([taken.exit, codeOf(taken)], [1, "already_exists"])

        const alpha = yield* Pilotctl.user("a")
        yield* alpha.run("config", "--set", "x=1")
        yield* Effect.promise(() => writeFile(`${alpha.home}/pilot.sock`, "mine"))
        assert.strictEqual(codeOf(yield* alpha.run("--json", "daemon", "start", ...LISTEN, ...flags)), "internal")

        const nowhere = Pilotctl.at("/dev/null/pilot")
        assert.strictEqual(codeOf(yield* nowhere.run("--json", "daemon", "start", ...LISTEN, ...flags)), "internal")

        const long = Pilotctl.at(`${alpha.home}/${"x".repeat(100)}`)
        const refused = yield* long.run("--json", "daemon", "start", ...LISTEN, ...flags)
        assert.strictEqual(codeOf(refused), "invalid_argument")
        assert.match(Json.string(refused.json, "message"), /^socket path is too long/)
        assert.strictEqual(codeOf(yield* long.run("--json", "info")), "invalid_argument")
      }),
    PROCESSES_TIMEOUT
  )

  it.live(
    "a socket that somebody else serves with other words is no daemon, and is not removed",
    () =>
      Effect.gen(function* () {
        const alpha = yield* Pilotctl.user("a")
        yield* alpha.run("config", "--set", "x=1")
        const server = yield* Effect.acquireRelease(
          Effect.callback<ReturnType<typeof createServer>>((resume) => {
            const listening = createServer((socket) => {
              socket.on("error", () => socket.destroy())
              socket.end("HTTP/1.1 400\r\n\r\n", () => socket.destroy())
            })
            listening.listen(`${alpha.home}/pilot.sock`, () => resume(Effect.succeed(listening)))
          }),
          (listening) => Effect.callback<void>((resume) => void listening.close(() => resume(Effect.void)))
        )
        const info = yield* alpha.run("--json", "info")
        const started = yield* alpha.run("--json", "daemon", "start", ...LISTEN, "--registry", "127.0.0.1:1")

        assert.deepStrictEqual([info.exit, codeOf(info)], [1, "connection_failed"])
        assert.deepStrictEqual([started.exit, codeOf(started)], [1, "already_exists"])
        assert.isTrue(server.listening)
      }),
    PROCESSES_TIMEOUT
  )
})

/** Every command is a process; on a busy host a dozen of them take their time. */
const PROCESSES_TIMEOUT = 120_000

/** Asks again until it is so; the test's own time-out ends what never becomes so. */
const eventually = <A>(ask: Effect.Effect<A>, isSo: (answer: A) => boolean): Effect.Effect<A> =>
  Effect.filterOrElse(ask, isSo, () => Effect.andThen(Effect.sleep("100 millis"), eventually(ask, isSo)))
