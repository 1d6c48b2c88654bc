/** What is measured over a `Wire`, the same for every transport; times in milliseconds, counted at the client. */
import type { During } from "../Profile.ts"
import type { Transport, Wire } from "./Wire.ts"

/** What a client is asked to do. */
export type Workload =
  /** From dialling to the answer to the last byte, `times` over; `isCold` forgets the server in between. */
  | { readonly kind: "upload"; readonly bytes: number; readonly times: number; readonly isCold: boolean }
  /** `parallel` requests at once, each on a stream that is open already, `rounds` over: each one's time. */
  | { readonly kind: "requests"; readonly parallel: number; readonly rounds: number; readonly bytes: number }
  /** From dialling to the first byte echoed, `times` over. */
  | { readonly kind: "dial"; readonly times: number; readonly isCold: boolean }
  /** Bytes per second that arrive, from `skipMs` after the first one, for `forMs`; it goes on for `skipMs` after. */
  | { readonly kind: "flow"; readonly skipMs: number; readonly forMs: number }
  /** Answers per second on one stream with 256 requests of 64 bytes under way, each written by itself. */
  | { readonly kind: "pipeline"; readonly forMs: number }
  /** Round trips beside an idle stream, then as many beside a busy one that began `skipMs` before; pings where there are. */
  | { readonly kind: "beside"; readonly skipMs: number; readonly times: number }

/** Does what each client asks for, as long as its stream holds: a client that is gone has no use for more. */
export const serve = async (wire: Wire): Promise<void> => {
  await serveOne(wire).catch(() => {})
  await wire.close()
}

const serveOne = async (wire: Wire): Promise<void> => {
  const header = await exactly(wire, HEADER_BYTES)
  const [first, second] = [header.bytes.readDoubleBE(1), header.bytes.readDoubleBE(9)]
  await (SERVICES[header.bytes[0] ?? 0] ?? echo)(wire, header.rest, first, second)
}

/** Connects and measures: milliseconds, or for a flow bytes per second. What counts is done inside `during`. */
export const measure = async (
  connect: () => Promise<Transport>,
  contact: string,
  workload: Workload,
  during: During
): Promise<ReadonlyArray<number>> => {
  let transport = await connect()
  const again = async <A>(isCold: boolean, times: number, measured: () => Promise<A>): Promise<ReadonlyArray<A>> => {
    const results: Array<A> = []
    for (let time = 0; time < times; time++) {
      if (isCold && time > 0) {
        await transport.close()
        transport = await connect()
      }
      results.push(await measured())
    }
    return results
  }
  const once = async (): Promise<ReadonlyArray<number>> => {
    switch (workload.kind) {
      case "upload":
        return await again(workload.isCold, workload.times, () => upload(transport, contact, workload.bytes))
      case "dial":
        return await again(workload.isCold, workload.times, () => during(() => firstByte(transport, contact)))
      case "requests":
        return await requests(transport, contact, workload, during)
      case "flow":
        return [await during(() => flow(transport, contact, workload))]
      case "pipeline":
        return [await pipeline(transport, contact, workload.forMs)]
      case "beside":
        return await beside(transport, contact, workload)
    }
  }
  const results = await once()
  // Its streams still write, and the process is about to end.
  if (workload.kind !== "beside") await transport.close()
  return results
}

const upload = async (transport: Transport, contact: string, bytes: number): Promise<number> => {
  const startMs = performance.now()
  const wire = await transport.dial(contact)
  await wire.write(header("upload", bytes))
  for (let left = bytes; left > 0; left -= CHUNK.length) await wire.write(CHUNK.subarray(0, left))
  await exactly(wire, 1)
  const lengthMs = performance.now() - startMs
  await wire.close()
  return lengthMs
}

const firstByte = async (transport: Transport, contact: string): Promise<number> => {
  const startMs = performance.now()
  const wire = await transport.dial(contact)
  await wire.write(Buffer.concat([header("echo"), CHUNK.subarray(0, 1)]))
  await exactly(wire, 1)
  const lengthMs = performance.now() - startMs
  await wire.close()
  return lengthMs
}

const requests = async (
  transport: Transport,
  contact: string,
  { bytes, parallel, rounds }: Extract<Workload, { kind: "requests" }>,
  during: During
): Promise<ReadonlyArray<number>> => {
  const wires: Array<Wire> = []
  while (wires.length < parallel) {
    const wire = await transport.dial(contact)
    await wire.write(header("echo"))
    wires.push(wire)
  }
  const times: Array<number> = []
  await during(async () => {
    for (let round = 0; round < rounds; round++) {
      times.push(...(await Promise.all(wires.map((wire) => request(wire, bytes)))))
    }
  })
  return times
}

const request = async (wire: Wire, bytes: number): Promise<number> => {
  const startMs = performance.now()
  await wire.write(CHUNK.subarray(0, bytes))
  await exactly(wire, bytes)
  return performance.now() - startMs
}

const flow = async (
  transport: Transport,
  contact: string,
  { forMs, skipMs }: Extract<Workload, { kind: "flow" }>
): Promise<number> => {
  const wire = await transport.dial(contact)
  await wire.write(header("flow", skipMs, forMs))
  let isOver = false
  const write = async () => {
    while (!isOver) await wire.write(CHUNK)
  }
  const answer = async () => {
    const { bytes } = await exactly(wire, 8)
    // A rival that began later is still counting.
    await new Promise((resolve) => setTimeout(resolve, skipMs))
    isOver = true
    return bytes.readDoubleBE()
  }
  const [bytesPerSecond] = await Promise.all([answer(), write()])
  await wire.close()
  return bytesPerSecond
}

const pipeline = async (transport: Transport, contact: string, forMs: number): Promise<number> => {
  const wire = await transport.dial(contact)
  await wire.write(header("echo"))
  const request = CHUNK.subarray(0, PING_BYTES)
  for (let sent = 0; sent < PIPELINE; sent++) await wire.write(request)
  let [bytes, answers] = [0, 0]
  const startMs = performance.now()
  const fromMs = startMs + forMs / 2
  let counted = 0
  for (let nowMs = startMs; nowMs < startMs + forMs; nowMs = performance.now()) {
    bytes += (await some(wire)).length
    for (; answers < Math.floor(bytes / PING_BYTES); answers++) {
      if (nowMs >= fromMs) counted++
      await wire.write(request)
    }
  }
  await wire.close()
  return (counted * 1000) / (forMs / 2)
}

const beside = async (
  transport: Transport,
  contact: string,
  { skipMs, times }: Extract<Workload, { kind: "beside" }>
): Promise<ReadonlyArray<number>> => {
  const wire = await transport.dial(contact)
  await wire.write(header("echo"))
  const once = () => transport.ping?.(contact) ?? request(wire, PING_BYTES)
  const several = async () => {
    const results: Array<number> = []
    while (results.length < times) {
      results.push(await once())
      await new Promise((resolve) => setTimeout(resolve, PING_EVERY_MS))
    }
    return results
  }
  // What is not a round trip yet: the compiler's, and a path still being found.
  await several()
  const idle = await several()
  const busy = await transport.dial(contact)
  await busy.write(header("flow", 0, Number.POSITIVE_INFINITY))
  const write = async () => {
    for (;;) await busy.write(CHUNK)
  }
  // The process ends while it writes.
  write().catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, skipMs))
  return [...idle, ...(await several())]
}

type Service = (wire: Wire, first: Uint8Array, a: number, b: number) => Promise<void>

const takeUpload: Service = async (wire, first, bytes) => {
  let left = bytes - first.length
  while (left > 0) {
    left -= (await some(wire)).length
  }
  await wire.write(Uint8Array.of(1))
  // Until the client has the answer, and closes.
  await wire.read()
}

const echo: Service = async (wire, first) => {
  for (let chunk: Uint8Array | undefined = first; chunk !== undefined; chunk = await wire.read()) {
    if (chunk.length > 0) await wire.write(chunk)
  }
}

const takeFlow: Service = async (wire, _first, skipMs, forMs) => {
  const fromMs = performance.now() + skipMs
  let bytes = 0
  for (let nowMs = 0; nowMs < fromMs + forMs; nowMs = performance.now()) {
    const { length } = await some(wire)
    if (nowMs >= fromMs) bytes += length
  }
  const answer = Buffer.alloc(8)
  answer.writeDoubleBE((bytes * 1000) / forMs)
  await wire.write(answer)
  while ((await wire.read()) !== undefined);
}

const SERVICES = [takeUpload, echo, takeFlow]
const KINDS = ["upload", "echo", "flow"] as const

const header = (kind: (typeof KINDS)[number], first = 0, second = 0): Buffer => {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes[0] = KINDS.indexOf(kind)
  bytes.writeDoubleBE(first, 1)
  bytes.writeDoubleBE(second, 9)
  return bytes
}

/** The next bytes, where the end would be a failure: a time without an answer is none. */
const some = async (wire: Wire): Promise<Uint8Array> => {
  const chunk = await wire.read()
  if (chunk === undefined) throw new Error("the stream ended before the answer")
  return chunk
}

/** Reads until there are so many; `rest` came with them. */
const exactly = async (wire: Wire, count: number) => {
  let all = Buffer.alloc(0)
  while (all.length < count) all = Buffer.concat([all, await some(wire)])
  return { bytes: all.subarray(0, count), rest: all.subarray(count) }
}

const PING_BYTES = 64
const PIPELINE = 256
const PING_EVERY_MS = 20
const HEADER_BYTES = 17
const CHUNK = Buffer.alloc(64 * 1024, 7)
