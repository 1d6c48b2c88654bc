/**
 * Where a process spends its processor, by stage of a packet's way: V8's sampling profiler, each sample given to the
 * innermost function whose file says what it is for.
 */
import { writeFileSync } from "node:fs"
import { type Profiler, Session } from "node:inspector/promises"

/** Microseconds by stage. */
export type Stages = Readonly<Record<string, number>>

/** Runs something and counts what the processor does meanwhile; not one inside the other. */
export type During = <A>(run: () => Promise<A>) => Promise<A>

/** Writes to the path, as JSON, the `Stages` of everything run so far, after each; without a path it only runs things. */
export const make = (path: string | undefined): During => {
  if (path === undefined) return (run) => run()
  const sums: Record<string, number> = {}
  return async (run) => {
    const session = new Session()
    session.connect()
    await session.post("Profiler.enable")
    await session.post("Profiler.setSamplingInterval", { interval: SAMPLE_US })
    await session.post("Profiler.start")
    const result = await run()
    const { profile } = await session.post("Profiler.stop")
    for (const [stage, us] of Object.entries(stagesOf(profile))) sums[stage] = (sums[stage] ?? 0) + us
    writeFileSync(path, JSON.stringify(sums))
    session.disconnect()
    return result
  }
}

/** Idle time is left out. */
const stagesOf = ({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Stages => {
  const stages = new Map<number, string>()
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const assign = (node: Profiler.ProfileNode, parent: string): void => {
    const stage = stageOf(node.callFrame) ?? parent
    stages.set(node.id, stage)
    for (const child of node.children ?? []) {
      const found = byId.get(child)
      if (found !== undefined) assign(found, stage)
    }
  }
  const [root] = nodes
  if (root !== undefined) assign(root, "Node and kernel")
  const sums: Record<string, number> = {}
  for (const [index, id] of samples.entries()) {
    const stage = stages.get(id) ?? ""
    if (stage !== IDLE) sums[stage] = (sums[stage] ?? 0) + (timeDeltas[index] ?? 0)
  }
  return sums
}

const stageOf = ({ functionName, url }: Profiler.ProfileNode["callFrame"]): string | undefined =>
  STAGES.find(({ file, name }) => file.test(url) && (name === undefined || name.test(functionName)))?.stage

const IDLE = "idle"
/** Finer than the 1 ms of V8, and still cheap: a packet takes some 20 µs. */
const SAMPLE_US = 200
/** The first that fits. What fits none is work for its caller. */
const STAGES: ReadonlyArray<{ readonly stage: string; readonly file: RegExp; readonly name?: RegExp }> = [
  { stage: IDLE, file: /^$/, name: /^\(idle\)$/ },
  { stage: "garbage collection", file: /^$/, name: /^\(garbage collector\)$/ },
  { stage: "Node and kernel", file: /^$/, name: /^\(program\)$/ },
  { stage: "seal", file: /core\/crypto\/NativeCrypto/, name: /seal/ },
  { stage: "open", file: /core\/crypto\/NativeCrypto/, name: /open/ },
  { stage: "keys and signatures", file: /core\/crypto\/NativeCrypto/ },
  { stage: "CRC", file: /Crc32/ },
  { stage: "encode and decode", file: /protocol\/wire\// },
  { stage: "tunnel", file: /protocol\/tunnel\/|nat\// },
  { stage: "connection step", file: /protocol\/stream\// },
  { stage: "receive", file: /^node:(internal\/)?dgram/, name: /onMessage/ },
  { stage: "send", file: /^node:(internal\/)?dgram/ },
  { stage: "send", file: /NodeUdpEndpoint/, name: /send/ },
  { stage: "receive", file: /NodeUdpEndpoint/ },
  { stage: "registry", file: /actors\/registry\/|protocol\/registry\/|NodeTlsClient|^node:_?(tls|net)/ },
  { stage: "actors", file: /\/actors\/|core\/actor\/|\/effect\/|\/api\// },
  { stage: "the program", file: /\/bench\// }
]
