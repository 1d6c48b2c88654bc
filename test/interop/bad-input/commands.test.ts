import { createSocket } from "node:dgram"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, type Scope } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

/** `alice` trusts `bob`, who answers, and `dave`, who is dead. */
class Stage extends Context.Service<
  Stage,
  {
    readonly network: PilotNetwork.PilotNetwork
    readonly alice: PilotNetwork.Daemon
    /** A message to `dave`, sent at once because a dial takes its time to give up. */
    readonly toDave: Fiber.Fiber<PilotProcesses.Outcome>
  }
>()("test/bad-input/Stage") {}

const stage = Layer.effect(
  Stage,
  Effect.gen(function* () {
    const network = yield* PilotNetwork.make
    const [alice] = yield* PilotNetwork.startPair(network, "alice", "bob")
    const dave = yield* PilotNetwork.startDaemon(network, "dave")
    yield* PilotNetwork.trust(alice, dave)
    yield* PilotProcesses.killNow(dave.pid)
    const args = ["--json", "send", dave.address, "1000", "--data", "x"]
    return { network, alice, toDave: yield* Effect.forkScoped(PilotProcesses.pilotctl(alice.home, args)) }
  })
)

type StageService = Stage["Service"]

/** What the answer must say. */
interface Expected {
  readonly code: string
  readonly message: RegExp
  readonly hint?: RegExp
}

/** One situation: what is asked, where, and what is done before. */
interface Situation extends Expected {
  readonly name: string
  readonly args: ReadonlyArray<string> | ((stage: StageService) => ReadonlyArray<string>)
  /** Where it is asked; by default on `alice`. */
  readonly home?: (stage: StageService) => string
  /** What is done before, with the state directory. */
  readonly before?: (home: string) => Effect.Effect<ReadonlyArray<string>, never, Scope.Scope>
}

const fresh = ({ network }: StageService) => network.home("fresh")
const starting = ({ network }: StageService) => ["daemon", "start", ...PilotNetwork.flagsOf(network, "fresh")]
/** The same without a registry: a second one would be one more, not another one. */
const nowhere = (stage: StageService) =>
  starting(stage).filter((word, index, words) => word !== "--registry" && words[index - 1] !== "--registry")

const SITUATIONS: ReadonlyArray<Situation> = [
  ...["find", "connect", "ping"].map((command) => ({
    name: `${command} of a name that nobody has`,
    args: [command, "nobody", ...(command === "connect" ? ["--message", "x"] : [])],
    code: "not_found",
    message: /"nobody"/
  })),
  {
    name: "trust add of a name that nobody has",
    args: ["trust", "add", "nobody"],
    code: "not_found",
    message: /resolve "nobody"/
  },
  {
    name: "mcp expose to a name that nobody has",
    args: ["mcp", "expose", "tool", "--allow", "nobody", "--", "true"],
    code: "not_found",
    message: /nobody/
  },
  {
    name: "a port where nobody listens",
    args: ["send", "bob", "4999", "--data", "x"],
    code: "connection_failed",
    message: /cannot connect to 0:[0-9A-F.]+ port 4999/,
    hint: /pilotctl ping/
  },
  {
    name: "a registry with another certificate than the pinned one",
    home: fresh,
    args: (stage) => [...starting(stage), "--registry-fingerprint", "ab".repeat(32)],
    code: "key_changed",
    message: /(ab){32}/,
    hint: /rendezvous status/
  },
  {
    name: "a registry that speaks plain TCP only",
    home: fresh,
    args: nowhere,
    before: () => Effect.map(plainServer, (port) => ["--registry", `127.0.0.1:${port}`]),
    code: "connection_failed",
    message: /registry 127\.0\.0\.1:\d+/,
    hint: /--registry-plaintext/
  },
  {
    name: "a registry that does not run",
    home: fresh,
    args: (stage) => [...nowhere(stage), "--registry", "127.0.0.1:1"],
    code: "connection_failed",
    message: /cannot reach registry at 127\.0\.0\.1:1/,
    hint: /pilotctl rendezvous start/
  },
  {
    name: "a registry whose name does not resolve",
    home: fresh,
    args: (stage) => [...nowhere(stage), "--registry", "no-such-host.invalid:9000"],
    code: "connection_failed",
    message: /no-such-host\.invalid/,
    hint: /./
  },
  {
    name: "a UDP port in use",
    home: fresh,
    args: starting,
    before: () => Effect.map(udpPort, (port) => ["--listen", `127.0.0.1:${port}`]),
    code: "already_exists",
    message: /cannot listen on UDP 127\.0\.0\.1:\d+/,
    hint: /--listen/
  },
  {
    name: "a second daemon on the same state directory",
    args: starting,
    code: "already_exists",
    message: /already running/,
    hint: /daemon stop/
  },
  {
    name: "a second daemon that nobody asked first",
    args: (stage) => ["_daemon-run", ...starting(stage).slice(2), "--socket", `${stage.network.directory}/other.sock`],
    code: "already_exists",
    message: /daemon already uses/,
    hint: /daemon stop/
  },
  {
    name: "a socket path that is too long",
    home: ({ network }) => network.home("x".repeat(100)),
    args: starting,
    code: "invalid_argument",
    message: /socket path is too long/,
    hint: /--socket|PILOT_HOME/
  },
  {
    name: "a state directory that is a file",
    home: ({ network }) => network.home("file"),
    before: (home) =>
      Effect.as(
        Effect.sync(() => writeFileSync(home, "")),
        []
      ),
    args: starting,
    code: "internal",
    message: /file/,
    hint: /PILOT_HOME/
  },
  {
    name: "a state directory that cannot be made",
    home: () => "/proc/pilot",
    args: starting,
    code: "internal",
    message: /\/proc\/pilot/,
    hint: /PILOT_HOME/
  },
  {
    name: "a rendezvous whose state directory cannot be made",
    home: () => "/proc/pilot",
    args: ["rendezvous", "start"],
    code: "internal",
    message: /\/proc\/pilot/,
    hint: /PILOT_HOME/
  },
  {
    name: "a configuration file with a wrong value",
    home: ({ network }) => network.home("configured"),
    before: (home) => Effect.as(config(home, '{"keepalive":"soon"}'), []),
    args: starting,
    code: "invalid_argument",
    message: /keepalive "soon" \(.*config\.json\)/
  },
  {
    name: "a configuration file that was named and is not there",
    home: fresh,
    args: ["daemon", "start", "--config", "/nonexistent.json"],
    code: "not_found",
    message: /\/nonexistent\.json/
  },
  {
    name: "a wrong address to listen on",
    home: fresh,
    args: ["daemon", "start", "--listen", "nonsense"],
    code: "invalid_argument",
    message: /listen "nonsense"/
  },
  {
    name: "an unknown command",
    args: ["frobnicate"],
    code: "invalid_argument",
    message: /frobnicate/,
    hint: /context/
  },
  { name: "a missing argument", args: ["find"], code: "invalid_argument", message: /usage: pilotctl find <hostname>/ },
  { name: "a missing flag", args: ["send", "bob", "7"], code: "invalid_argument", message: /--data/ },
  {
    name: "a missing command",
    args: ["mcp", "expose", "tool"],
    code: "invalid_argument",
    message: /command/,
    hint: /--/
  },
  {
    name: "a service without its peer",
    args: ["mcp", "connect", "tool"],
    code: "invalid_argument",
    message: /PEER\/NAME/
  },
  {
    name: "a port out of range",
    args: ["send", "bob", "70000", "--data", "x"],
    code: "invalid_argument",
    message: /70000/
  },
  { name: "a count that is none", args: ["ping", "bob", "--count", "few"], code: "invalid_argument", message: /few/ },
  {
    name: "approval of somebody who shows another fingerprint",
    args: ["approve", "bob", "--fingerprint", "nonsense"],
    code: "invalid_argument",
    message: /nonsense/,
    hint: /pilotctl info/
  },
  {
    name: "no daemon",
    home: ({ network }) => network.home("nobody"),
    args: ["info"],
    code: "not_running",
    message: /daemon is not running/,
    hint: /pilotctl daemon start/
  },
  {
    name: "no daemon to stop",
    home: ({ network }) => network.home("nobody"),
    args: ["daemon", "stop"],
    code: "not_running",
    message: /daemon is not running/
  },
  {
    name: "a second rendezvous",
    home: ({ network }) => network.rendezvous,
    args: ["rendezvous", "start"],
    code: "already_exists",
    message: /already running/,
    hint: /rendezvous stop/
  },
  {
    name: "a rendezvous on a port in use",
    home: fresh,
    args: ({ network }) => [
      "rendezvous",
      "start",
      "--registry-addr",
      network.card.registry,
      "--beacon-addr",
      "127.0.0.1:0"
    ],
    code: "already_exists",
    message: /port in use: 127\.0\.0\.1/,
    hint: /--registry-addr/
  }
]

layer(stage, { excludeTestServices: true, timeout: "60 seconds" })("pilotctl in a bad situation", (it) => {
  /** Every failure is one line of JSON on standard error and nothing on standard output. */
  const assertError = (outcome: PilotProcesses.Outcome, { code, hint, message }: Expected) => {
    const error = PilotProcesses.errorOf(outcome)
    assert.strictEqual(outcome.exitCode, 1)
    assert.strictEqual(outcome.stdout, "")
    assert.strictEqual(error.code, code, JSON.stringify(error))
    assert.match(error.message, message)
    if (hint !== undefined) assert.match(error.hint ?? "", hint)
    assert.notInclude(error.message, "unexpected failure")
  }

  for (const { args, before, home, name, ...expected } of SITUATIONS) {
    it.effect(
      `${name}: ${expected.code}`,
      () =>
        Effect.gen(function* () {
          const stage = yield* Stage
          const place = home?.(stage) ?? stage.alice.home
          const more = before === undefined ? [] : yield* before(place)
          const words = typeof args === "function" ? args(stage) : args

          const outcome = yield* PilotProcesses.pilotctl(place, ["--json", ...words, ...more])

          assertError(outcome, expected)
        }),
      60_000
    )
  }

  it.effect("people get the same words, and the usage for a command nobody knows", () =>
    Effect.gen(function* () {
      const { alice } = yield* Stage

      const told = yield* PilotProcesses.pilotctl(alice.home, ["send", "bob", "4999", "--data", "x"])
      const unknown = yield* PilotProcesses.pilotctl(alice.home, ["frobnicate"])

      assert.match(
        told.stderr,
        /^error: cannot connect to .* port 4999\nhint: {2}check that .* is reachable: pilotctl ping/m
      )
      assert.strictEqual(unknown.exitCode, 2)
      assert.include(unknown.stderr, "unknown command: frobnicate")
    })
  )

  it.effect(
    "a peer that is dead: connection_failed",
    () =>
      Effect.gen(function* () {
        const { toDave } = yield* Stage

        const outcome = yield* Fiber.join(toDave)

        assertError(outcome, { code: "connection_failed", message: /cannot connect/, hint: /pilotctl ping/ })
      }),
    60_000
  )

  it.effect("after all of it alice still answers, and her stream to bob works", () =>
    Effect.gen(function* () {
      const { alice } = yield* Stage
      yield* Pilotctl.run(alice.home, "info")
      assert.include(
        JSON.stringify(yield* Pilotctl.run(alice.home, "send", "bob", "7", "--data", "still here")),
        "still here"
      )
    })
  )
})

const config = (home: string, text: string) =>
  Effect.sync(() => {
    mkdirSync(home, { recursive: true, mode: 0o700 })
    writeFileSync(`${home}/config.json`, text, { mode: 0o600 })
  })

/** Somebody else's UDP port. */
const udpPort = Effect.map(
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createSocket>>((resume) => {
      const socket = createSocket("udp4")
      socket.bind(0, "127.0.0.1", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.close())
  ),
  (socket) => socket.address().port
)

/** Answers a TLS hello as a registry of the reference does: not at all. */
const plainServer = Effect.map(
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => {})
        socket.once("data", () => socket.end())
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ),
  (server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }
)
