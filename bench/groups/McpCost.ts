/**
 * Where the microseconds of a tool call go: V8's profiler in every process of the bridge, in its first second, with one
 * and with sixteen calls in flight, and what the kernel says of them. The program is the library's own build, so that files tell what a function
 * is for; the sampling makes everything some tenth slower.
 */
import { fileURLToPath } from "node:url"
import { Effect, FileSystem, Schema } from "effect"
import * as Children from "../Children.ts"
import type { Figure } from "../Figure.ts"
import * as Costs from "../mcp/Costs.ts"
import * as Profile from "../Profile.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" })
  const options = `--cpu-prof --cpu-prof-dir=${directory} --cpu-prof-interval ${SAMPLE_US}`
  const child = yield* Children.start([process.execPath, Costs.PROGRAM], {
    NODE_OPTIONS: options,
    PILOTCTL_PROGRAM: PILOTCTL
  })
  const report = yield* Effect.flatMap(Children.message(child), Schema.decodeUnknownEffect(Costs.Report))
  // Each writes its profile when it ends, and it ends all of them before it does.
  yield* Children.ended(child)
  const files = yield* fileSystem.readDirectory(directory)
  const rows = Object.entries(report.pids).map(([name, pid]) =>
    Effect.gen(function* () {
      const file = files.find((candidate) => candidate.includes(`.${pid}.`))
      const text = yield* fileSystem.readFileString(`${directory}/${file}`)
      return [...kernel(report, name), ...stages(report, name, JSON.parse(text))]
    })
  )
  return (yield* Effect.all(rows)).flat()
})

/** What a process does in the kernel's eyes, per call. */
const kernel = ({ windows }: Costs.Report, name: string): ReadonlyArray<Figure> => {
  const of = (value: keyof Costs.Report["windows"][number]["processes"][string]) =>
    windows.map(({ calls, processes }) => (processes[name]?.[value] ?? Number.NaN) / calls)
  return [
    row(windows, `${name}: on a processor`, of("runningUs")),
    row(windows, `${name}: ready, and waiting for one`, of("waitingUs")),
    { ...row(windows, `${name}: times it was woken`, of("turns")), unit: "" }
  ]
}

/** What its profile says, most of it first. */
const stages = (
  { windows }: Costs.Report,
  name: string,
  profile: Parameters<typeof Profile.attribute>[0]
): ReadonlyArray<Figure> => {
  const byWindow = windows.map((window) => {
    const sums = Profile.attribute(profile, STAGES, window)
    return (stage: string) => (sums[stage] ?? 0) / window.calls
  })
  const names = new Set(windows.flatMap((window) => Object.keys(Profile.attribute(profile, STAGES, window))))
  return [...names]
    .map((stage) =>
      row(
        windows,
        `${name}: · ${stage}`,
        byWindow.map((of) => of(stage))
      )
    )
    .toSorted((one, other) => other.ours - one.ours)
}

/** Of the last window, and beside it of the others. */
const row = (windows: Costs.Report["windows"], name: string, values: ReadonlyArray<number>): Figure => ({
  name,
  unit: "µs",
  ours: values.at(-1) ?? Number.NaN,
  peers: Object.fromEntries(windows.slice(0, -1).map((window, index) => [window.name, values[index] ?? Number.NaN]))
})

/** Microseconds of every process and stage. */
export const group: Group = {
  name: "mcpcost",
  about: "where the microseconds of a tool call go, process by process; ours is with 16 calls in flight",
  seconds: 60,
  run: measure
}

/** As compiled file by file: the bundle of the command line does not tell where a function comes from. */
const PILOTCTL =
  process.env["PILOTCTL_PROGRAM"] ?? fileURLToPath(new URL("../../dist/lib/cli/pilotctl.js", import.meta.url))
const SAMPLE_US = 250
const STAGES: ReadonlyArray<Profile.Stage> = [
  { stage: "send datagrams", file: /^node:(internal\/)?dgram/ },
  {
    stage: "write to pipes and sockets",
    file: /^node:(net|internal\/stream_base_commons)/,
    name: /[wW]rit|uncork|AfterWrite/
  },
  { stage: "streams of Node", file: /^node:(net|events|stream|internal\/(streams|stream_base|event))/ },
  { stage: "timers and queues of Node", file: /^node:/ },
  { stage: "Effect", file: /node_modules\/(effect|@effect)\// },
  { stage: "lines", file: /relay\/LineSplitter/ },
  {
    stage: "reading JSON",
    file: /relay\/(Json|RawJson|CallArguments|CallResult|TraceMeta|EnvelopeScan|ToolFilter|Opening)/
  },
  { stage: "the record of calls", file: /AuditLog|AuditChain/ },
  {
    stage: "rules, counts, calls in flight",
    file: /CallGate|Policy|CallMetrics|InFlight|PeerUsage|Breaker|Repeats|SafeCalls|KeepAlive|PinGuard/
  },
  { stage: "relay session", file: /relay\/(Relay|Frame)|RelayEnd|FrameStream|data\/Deque/ },
  { stage: "seal, open, hash", file: /core\/crypto\/Native(Crypto|Aead)/ },
  { stage: "packets", file: /Crc32|protocol\/wire\/(Packet|Tunnel|Sack|Control)/ },
  { stage: "stream", file: /protocol\/stream\// },
  { stage: "tunnel", file: /protocol\/tunnel\/|\/nat\// },
  { stage: "actors", file: /core\/actor|core\/data|actors\/node|NodeUdpEndpoint/ },
  { stage: "local socket", file: /actors\/ipc|protocol\/wire\/Ipc|core\/net|ProcessStdio/ },
  { stage: "shim and keeper", file: /actors\/mcp|\/cli\// }
]
