/**
 * One end of a measurement as a process: `serve` tells its contact, `measure` what it found.
 *
 * Run as a child: `node bench/peers/Peer.ts serve | measure <options as JSON>`.
 */
import { fileURLToPath } from "node:url"
import type { Pilot } from "effect-pilot"
import * as Profile from "../Profile.ts"
import type { Transport } from "./Wire.ts"
import * as Workload from "./Workload.ts"

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

/** What speaks. TCP and hyperdht bind to the address; hyperdht finds others through its bootstrap node. */
export type Speaker =
  | { readonly kind: "ours"; readonly node: Pilot.NodeOptions }
  | { readonly kind: "tcp"; readonly address: string }
  | { readonly kind: "hyperdht"; readonly address: string; readonly bootstrap: string }
  /** The nodes that hyperdht finds others through; only serves. */
  | { readonly kind: "bootstrap"; readonly address: string }

/** What a child is told on its command line. */
export interface Options {
  readonly speaker: Speaker
  /** For `measure`. */
  readonly contact?: string
  readonly workload?: Workload.Workload
  /** Where to write what the processor did: for the connections served, or for the client while it measures. */
  readonly profile?: string
}

const connect = async (speaker: Speaker): Promise<Transport> => {
  // Each only where it is needed: a TCP peer does not wait for the rest to load.
  switch (speaker.kind) {
    case "ours":
      return (await import("./Ours.ts")).make(speaker.node)
    case "tcp":
      return (await import("./Tcp.ts")).make(speaker.address)
    case "hyperdht":
      return (await import("./HyperDht.ts")).make(speaker.address, speaker.bootstrap)
    case "bootstrap":
      return (await import("./HyperDht.ts")).makeBootstrap(speaker.address)
  }
}

const main = async () => {
  const { contact = "", profile, speaker, workload }: Options = JSON.parse(process.argv[3] ?? "{}")
  const during = Profile.make(profile)
  process.on("disconnect", () => process.exit())
  if (process.argv[2] === "serve") {
    const transport = await connect(speaker)
    process.send?.(await transport.serve((wire) => void during(() => Workload.serve(wire))))
  } else if (workload !== undefined) {
    const results = await Workload.measure(() => connect(speaker), contact, workload, during)
    process.send?.(results, undefined, undefined, () => process.exit())
  }
}

if (process.argv[1] === PROGRAM) await main()
