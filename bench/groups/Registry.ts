/** The registry's door with 200,000 nodes behind it: what they take, and lookups per second of its processor. */
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { Console, Effect, FileSystem, Schema } from "effect"
import { Address, RegistryMessage, RegistryRequest } from "effect-pilot/protocol"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import type { Figure } from "../Figure.ts"
import type { Group } from "./Group.ts"
import { residentBytes } from "./Memory.ts"

const measure = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const home = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" })
  const addresses = ["--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"]
  const flags = [...addresses, "--compat-unsigned-register"]
  const started = Effect.flatMap(Pilotctl.run(home, "rendezvous", "start", ...flags), decodeStarted)
  const { pid, registry } = yield* Effect.acquireRelease(started, () =>
    Effect.sync(() => Pilotctl.runSync(home, "rendezvous", "stop"))
  )
  const port = Number(registry.split(":").at(-1))
  const emptyBytes = residentBytes(pid)
  yield* Console.log(`registering ${NODES} nodes …`)
  const registeredPerSecond = yield* Effect.promise(() => register(port))
  yield* Effect.sleep("5 seconds")
  const nodesBytes = residentBytes(pid)
  yield* Console.log("looking them up …")
  const lookupsPerSecond = yield* Effect.promise(() => lookUp(port, pid))
  return [
    {
      name: "lookups per second of the registry's processor",
      unit: "/s",
      ours: lookupsPerSecond,
      bar: { kind: "atLeast", value: 20_000 }
    },
    {
      name: `registry with ${NODES} nodes, resident`,
      unit: "MB",
      ours: nodesBytes / 2 ** 20,
      ceiling: { value: emptyBytes / 2 ** 20, of: "without nodes" },
      bar: { kind: "atMost", value: 400 }
    },
    { name: "registrations, each on disk before its answer", unit: "/s", ours: registeredPerSecond }
  ] satisfies ReadonlyArray<Figure>
})

/** A source may register ten keys at once, so that there are as many sources as that needs, all on the loopback. */
const register = async (port: number): Promise<number> => {
  const startMs = performance.now()
  let nextSource = 0
  const worker = async () => {
    while (nextSource < NODES / KEYS_PER_SOURCE) {
      const source = nextSource++
      const door = await open(port, `127.1.${source >> 8}.${source & 0xff}`)
      const requests = Array.from({ length: KEYS_PER_SOURCE }, (_, index) => ({
        ...{ _tag: "Register" as const },
        ...{
          listenAddress: "127.0.0.1:4000",
          publicKey: randomBytes(32).toString("base64"),
          owner: "",
          signature: ""
        },
        ...{ hostname: `node-${source}-${index}`, lanAddresses: [] }
      }))
      for (const reply of await door.ask(requests)) {
        if (RegistryMessage.failureText(reply) !== undefined) throw new Error(RegistryMessage.failureText(reply))
      }
      door.close()
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, worker))
  return (NODES * 1000) / (performance.now() - startMs)
}

/** Random nodes over a few connections with many requests under way each. */
const lookUp = async (port: number, pid: number): Promise<number> => {
  const doors = await Promise.all(Array.from({ length: DOORS }, () => open(port, "127.0.0.1")))
  const round = () =>
    Promise.all(
      doors.map((door) =>
        door.ask(
          Array.from({ length: UNDER_WAY }, () => ({
            _tag: "Lookup" as const,
            node: Address.NodeId(1 + Math.floor(Math.random() * NODES))
          }))
        )
      )
    )
  for (let warmUp = 0; warmUp < ROUNDS / 4; warmUp++) await round()
  const startS = cpuSeconds(pid)
  for (let rounds = 0; rounds < ROUNDS; rounds++) {
    const failed = (await round()).flat().map((reply) => RegistryMessage.failureText(reply))
    if (failed.some((text) => text !== undefined)) throw new Error(failed.find((text) => text !== undefined))
  }
  const lengthS = cpuSeconds(pid) - startS
  for (const door of doors) door.close()
  return (ROUNDS * DOORS * UNDER_WAY) / lengthS
}

type Reply = Parameters<typeof RegistryMessage.failureText>[0]

/** A connection that is asked in batches and answers in order. */
const open = async (port: number, localAddress: string) => {
  const socket: Socket = connect({ port, host: "127.0.0.1", localAddress, noDelay: true })
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject))
  const splitter = RegistryMessage.makeSplitter()
  const ask = (requests: ReadonlyArray<RegistryRequest.RegistryRequest>): Promise<ReadonlyArray<Reply>> =>
    new Promise((resolve, reject) => {
      const replies: Array<Reply> = []
      const closed = () => reject(new Error("the registry closed the connection"))
      const received = (chunk: Uint8Array) => {
        for (const body of splitter.push(chunk).frames) {
          const reply = RegistryMessage.decode(body)
          if (reply._tag === "Failure") return reject(new Error("an answer that is no message"))
          replies.push(reply.success)
        }
        if (replies.length < requests.length) return
        socket.off("data", received).off("close", closed)
        resolve(replies)
      }
      socket.on("data", received).once("close", closed)
      socket.write(
        Buffer.concat(requests.map((request) => RegistryMessage.encodeOrdered(RegistryRequest.toObject(request))))
      )
    })
  return { ask, close: () => socket.destroy() }
}

/** What a process has used so far, Linux only. */
const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

const decodeStarted = Schema.decodeUnknownEffect(Schema.Struct({ pid: Schema.Number, registry: Schema.String }))

/** The directory. */
export const group: Group = {
  name: "registry",
  about: "a registry with 200,000 nodes: memory, lookups per second of its processor",
  seconds: 180,
  run: measure
}

const NODES = 200_000
const KEYS_PER_SOURCE = 10
const WORKERS = 32
const DOORS = 8
const UNDER_WAY = 256
const ROUNDS = 60
/** `sysconf(_SC_CLK_TCK)` of every Linux. */
const TICKS_PER_SECOND = 100
