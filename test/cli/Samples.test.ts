import { mkdir, utimes, writeFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Json from "../../src/core/data/Json.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as DataFrame from "../../src/protocol/wire/DataFrame.ts"
import * as IpcReply from "../../src/protocol/wire/IpcReply.ts"
import type { IpcRequest } from "../../src/protocol/wire/IpcRequest.ts"
import * as CliRig from "../support/CliRig.ts"
import * as ModelDaemon from "../support/ModelDaemon.ts"
import vectors from "../vectors/node.json" with { type: "json" }

interface Sample {
  readonly index: number
  readonly args: ReadonlyArray<string>
  readonly exit: number | null
  readonly stdout: string
  readonly stderr: string
}

const samples: ReadonlyArray<Sample> = vectors.cli.samples.map(({ args, exit, stdout, stderr }, index) => ({
  index,
  args,
  exit,
  stdout,
  stderr
}))

const commandOf = ({ args }: Sample): string => args.find((word) => word !== "--json") ?? ""
const answerOf = ({ stdout }: Sample): Json.JsonObject =>
  Json.member(Json.parseObject(stdout) ?? {}, "data") as Json.JsonObject
const sampleOf = (args: string): Sample =>
  samples.find((sample) => sample.exit === 0 && sample.args.join(" ") === args)!

/** Commands of this program whose samples need nothing but a daemon's answers. */
const REPLAYED = new Set([
  ...[
    "info",
    "peers",
    "connections",
    "disconnect",
    "find",
    "set-hostname",
    "clear-hostname",
    "set-public",
    "set-private"
  ],
  ...["handshake", "pending", "approve", "reject", "trust", "untrust", "connect", "send", "recv", "ping", "lookup"],
  ...["send-message", "send-file", "register", "deregister", "set-tags", "clear-tags", "enable-tasks", "disable-tasks"],
  ...["traceroute", "bench", "listen", "broadcast"],
  ...["nosuchcmd", "daemon"]
])

/**
 * Samples we answer differently on purpose.
 *
 * - A name where the reference takes only a number is resolved (cli §7, better), so a wrong one is not found.
 * - `disconnect` returns (cli §8).
 * - `broadcast` sends to a network (decision 77).
 * - `traceroute` takes names (cli §8, better).
 * - `daemon start` and `stop` have tests of their own.
 */
const DIFFERENT = new Set([
  ...["--json approve x", "--json untrust zz", "--json disconnect 9999", "disconnect 9999"],
  ...["--json traceroute bravo", "--json broadcast 1 x"]
])

const isReplayed = (sample: Sample): boolean =>
  REPLAYED.has(commandOf(sample)) &&
  !DIFFERENT.has(sample.args.join(" ")) &&
  !/^daemon (start|stop|status)/.test(sample.args.filter((word) => word !== "--json").join(" "))

describe("pilotctl prints what the reference prints", () => {
  for (const sample of samples.filter(isReplayed)) {
    it.effect(`#${sample.index} ${sample.args.join(" ")} (cli §1.2)`, () =>
      Effect.gen(function* () {
        const rig = yield* CliRig.make()
        const isAway = sample.stderr.includes("daemon is not running")
        const daemon = ModelDaemon.make(isAway ? undefined : answersFor(sample))
        yield* Effect.promise(() => writeFile(`${rig.home}/note.txt`, "file body\n"))
        const stdin = sample.stdout.includes("l1\\nl2") ? "l1\nl2\n" : undefined
        const places = (text: string) => text.replaceAll("<FILES>", rig.home)
        const outcome = yield* rig.run(daemon, sample.args.map(places), stdin)

        assert.deepStrictEqual(
          timeless(outcome),
          timeless({ exit: sample.exit ?? 0, stdout: places(sample.stdout), stderr: places(sample.stderr) })
        )
      })
    )
  }

  it("every sample of a command of this program, but for those named here", () => {
    assert.isAbove(samples.filter(isReplayed).length, 75)
  })
})

describe("pilotctl keeps its configuration as the reference does", () => {
  it.effect("init, config, config --set, in one state directory (cli §2)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make({ PILOT_REGISTRY: "127.0.0.1:29000" })
      const places = (text: string) => placed(rig, text)
      const nobody = ModelDaemon.make(undefined)
      for (const { args, exit, stdout, stderr, index } of samples.slice(7, 15)) {
        const outcome = yield* rig.run(nobody, args.map(places))
        assert.deepStrictEqual(outcome, { exit, stdout: places(stdout), stderr }, `#${index}`)
      }
    })
  )
})

describe("pilotctl daemon status", () => {
  it.effect("of a daemon that is not there (cli §3)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const places = (text: string) => placed(rig, text)
      for (const { args, exit, stdout, stderr, index } of samples.slice(2, 7)) {
        const outcome = yield* rig.run(ModelDaemon.make(undefined), args)
        assert.deepStrictEqual(outcome, { exit, stdout: places(stdout), stderr }, `#${index}`)
      }
    })
  )
})

describe("pilotctl shows what peers have sent as the reference does", () => {
  it.effect("inbox and received: missing, full, cleared, empty (cli §9)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const places = (text: string) => text.replaceAll("<HOME>", rig.home)
      const ofMailbox = samples.filter((sample) => /^(inbox|received)$/.test(commandOf(sample)))
      const put = (path: string, text: string, at: string) =>
        Effect.promise(async () => {
          await mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true })
          await writeFile(path, text)
          await utimes(path, new Date(at), new Date(at))
        })
      for (const sample of ofMailbox) {
        if (sample.stdout.includes('"total":4'))
          for (const [order, message] of Json.objects(answerOf(sample), "messages").entries())
            yield* put(`${rig.home}/.pilot/inbox/${order}.json`, JSON.stringify(message), "2026-11-20T17:46:01Z")
        if (sample.stdout.includes('"total":2'))
          for (const file of Json.objects(answerOf(sample), "files"))
            yield* put(places(Json.string(file, "path")), "file body\n", Json.string(file, "modified"))
        const outcome = yield* rig.run(ModelDaemon.make(undefined), sample.args)

        const { exit, index, stderr, stdout } = sample
        assert.deepStrictEqual(outcome, { exit: exit ?? 0, stdout: places(stdout), stderr }, `#${index}`)
      }
      assert.strictEqual(ofMailbox.length, 12)
    })
  )
})

describe("pilotctl differs from the reference on purpose", () => {
  it.effect("disconnect returns (cli §8)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const silent = yield* rig.run(
        ModelDaemon.make(() => []),
        ["--json", "disconnect", "9999"]
      )
      assert.deepStrictEqual(silent, { exit: 0, stdout: '{"data":{"conn_id":9999},"status":"ok"}\n', stderr: "" })
    })
  )

  it.effect("approve and untrust take names (cli §7)", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const daemon = ModelDaemon.make(
        ModelDaemon.answering({
          ResolveHostname: ModelDaemon.json("ResolveHostname", { address: "0:0000.0000.0002", node_id: 2 }),
          HandshakeApprove: ModelDaemon.json("Handshake", { node_id: 2, status: "approved" }),
          HandshakeRevoke: ModelDaemon.json("Handshake", { node_id: 2, status: "revoked" })
        })
      )
      const approved = yield* rig.run(daemon, ["--json", "approve", "bravo"])
      const untrusted = yield* rig.run(daemon, ["--json", "trust", "rm", "bravo"])
      assert.strictEqual(approved.stdout, '{"data":{"node_id":2,"status":"approved"},"status":"ok"}\n')
      assert.strictEqual(untrusted.stdout, '{"data":{"node_id":2},"status":"ok"}\n')
    })
  )
})

/** The recording names places of its own machine. */
const placed = ({ home, socket }: CliRig.CliRig, text: string): string =>
  text
    .replaceAll("<HOME>", home)
    .replaceAll("<SOCK>", socket)
    .replaceAll("<REGISTRY>", "127.0.0.1:29000")
    .replaceAll("<BEACON>", "127.0.0.1:29001")

/** What the recorded daemon must have answered for the recorded output. */
const answersFor = (sample: Sample): ModelDaemon.Respond => {
  const failure = refusalOf(sample)
  return (request: IpcRequest): ReadonlyArray<IpcReply.IpcReply> => {
    if (request._tag === "ResolveHostname") return resolve(request.name)
    if (failure !== undefined) return [IpcReply.error(failure)]
    switch (request._tag) {
      case "Info":
        return ModelDaemon.json("Info", {
          ...answerOf(sampleOf("--json info")),
          uptime_secs: uptimeOf(sample),
          ...listsOf(sample)
        })
      case "HandshakePending":
        return ModelDaemon.json("Handshake", sample.args.includes("--json") ? answerOf(sample) : pendingOf(sample))
      case "HandshakeTrusted":
        return ModelDaemon.json("Handshake", sample.args.includes("--json") ? answerOf(sample) : trustedOf(sample))
      case "SetHostname":
        return ModelDaemon.json("SetHostname", { hostname: request.name, node_id: 1, type: "set_hostname_ok" })
      case "SetTags":
        return ModelDaemon.json("SetTags", { node_id: 1, tags: request.tags, type: "set_tags_ok" })
      case "SetTaskExec":
        return ModelDaemon.json("SetTaskExec", answerOf(sample))
      case "Deregister":
        return ModelDaemon.json("Deregister", answerOf(sample))
      case "SetVisibility":
        return ModelDaemon.json("SetVisibility", answerOf(sample))
      case "HandshakeSend":
        return ModelDaemon.json("Handshake", { node_id: request.node, status: "sent" })
      case "HandshakeApprove":
        return ModelDaemon.json("Handshake", { node_id: request.node, status: "approved" })
      case "HandshakeReject":
        return ModelDaemon.json("Handshake", { node_id: request.node, status: "rejected" })
      case "HandshakeRevoke":
        return ModelDaemon.json("Handshake", { node_id: request.node, status: "revoked" })
      case "Extension":
        return ModelDaemon.json("Extension", answerOf(sample))
      case "Dial":
        return [{ _tag: "DialOk", connection: 1 }]
      case "Send":
        return echoed(sample, request.data)
      case "Bind":
        return [{ _tag: "BindOk", port: request.port }, ...arrivals(sample)]
      default:
        return []
    }
  }
}

const refusalOf = ({ stderr }: Sample): string | undefined =>
  /daemon: ([^"\n]*)/.exec(stderr)?.[1] ??
  /((?:lookup|register): registry: [^"\n]*)/.exec(stderr)?.[1] ??
  (stderr.includes("cannot connect to") ? "connection refused" : undefined)

const resolve = (name: string): ReadonlyArray<IpcReply.IpcReply> => {
  const known = samples.find(({ args, exit }) => exit === 0 && args.join(" ") === `--json find ${name}`)
  return known === undefined
    ? [IpcReply.error("resolve_hostname: registry: request failed")]
    : ModelDaemon.json("ResolveHostname", { ...answerOf(known), type: "resolve_hostname_ok" })
}

const uptimeOf = ({ stdout }: Sample): number => {
  const human = /Uptime: +(\d\d):(\d\d):(\d\d)/.exec(stdout)
  if (human !== null) return Number(human[1]) * 3600 + Number(human[2]) * 60 + Number(human[3])
  return Json.integer(Json.parseObject(stdout) === undefined ? {} : answerOf({ stdout } as Sample), "uptime_secs")
}

const listsOf = (sample: Sample): Json.JsonObject => {
  const hasPeers = sample.index > 100
  return { peer_list: hasPeers ? Json.objects(answerOf(samples[137]!), "peers") : [] }
}

/** Tables print times, which JSON samples give as seconds; the recording ran in UTC. */
const secondsOf = ({ stdout }: Sample): number =>
  Date.parse(`${/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.exec(stdout)?.[0]}Z`) / 1000

const pendingOf = (sample: Sample): Json.JsonObject =>
  sample.stdout.startsWith("no ")
    ? { pending: [] }
    : { pending: [{ justification: "work together", node_id: 1, public_key: "", received_at: secondsOf(sample) }] }

const trustedOf = (sample: Sample): Json.JsonObject => {
  const row = /^(\d+) +(yes|no)/m.exec(sample.stdout)
  return row === null
    ? { trusted: [] }
    : {
        trusted: [
          {
            approved_at: secondsOf(sample),
            mutual: row[2] === "yes",
            network: 0,
            node_id: Number(row[1]),
            public_key: ""
          }
        ]
      }
}

const echoed = (sample: Sample, data: Uint8Array): ReadonlyArray<IpcReply.IpcReply> => {
  if (commandOf(sample).startsWith("send-")) return acknowledged(sample, data)
  if (sample.stderr.includes("no response within")) return []
  const isUnanswered = sample.stdout.includes('"response":""') || sample.stderr.includes("no response")
  return isUnanswered ? [{ _tag: "CloseOk", connection: 1 }] : [{ _tag: "Recv", connection: 1, data }]
}

/** After the payload, which follows its header in a write of its own. */
const acknowledged = (sample: Sample, data: Uint8Array): ReadonlyArray<IpcReply.IpcReply> => {
  const ack = /"ack": ?"([^"]+)"/.exec(sample.stdout)?.[1]
  if (ack === undefined || data.length === DataFrame.HEADER_BYTES) return []
  return [{ _tag: "Recv", connection: 1, data: DataFrame.encodeText(ack) }]
}

const arrivals = (sample: Sample): ReadonlyArray<IpcReply.IpcReply> => {
  const texts = [...sample.stdout.matchAll(/m\d/g)].map(([text]) => text)
  return texts.flatMap(
    (text, index): ReadonlyArray<IpcReply.IpcReply> => [
      {
        _tag: "Accept",
        localPort: Address.Port(5000),
        connection: index + 1,
        remote: Address.make(0, 1),
        remotePort: Address.Port(49179)
      },
      { _tag: "Recv", connection: index + 1, data: new TextEncoder().encode(text) }
    ]
  )
}

/** Round trips took what they took. */
const timeless = (outcome: CliRig.Outcome): CliRig.Outcome => ({
  ...outcome,
  stdout: outcome.stdout
    .replaceAll(/"(rtt_ms|setup_ms|send_duration_ms|total_duration_ms|send_mbps|total_mbps)":[\d.e+-]+/g, '"$1":0')
    .replaceAll(/(time|setup|rtt)=[\d.]+(?:ms|µs|s)/g, "$1=0")
    .replaceAll(/in [\d.]+(?:ms|s) \([\d.]+ MB/g, "in 0s (0.0 MB")
})
