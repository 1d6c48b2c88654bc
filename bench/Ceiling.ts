/**
 * What the machine allows: sealed datagrams between two processes without reliability, a raw UDP echo, a TCP connection.
 * Our figures are given as ratios to these, measured in the same run.
 *
 * Run as a child: `node bench/Ceiling.ts receive | echo | accept`, or `seal BYTES`, which is the first figure in another place.
 */
import { type ChildProcess, fork } from "node:child_process"
import { createCipheriv, createDecipheriv, createSecretKey } from "node:crypto"
import { createSocket, type Socket } from "node:dgram"
import { type AddressInfo, connect, createServer } from "node:net"
import { fileURLToPath } from "node:url"
import * as Statistics from "./Statistics.ts"

/**
 * Bytes of plaintext per second that a receiving process opened, sent and sealed by this one in datagrams of the size
 * given: as fast as the slower side goes, since what overflows the socket buffer is not counted.
 */
export const sealedBytesPerSecond = async (datagramBytes: number, forMs: number): Promise<number> => {
  await using child = await start("receive")
  const socket = await bound()
  const payload = Buffer.alloc(datagramBytes - NONCE_BYTES - TAG_BYTES, 7)
  const endAt = performance.now() + forMs
  for (let counter = 1; performance.now() < endAt; counter += BURST) {
    for (let i = 1; i < BURST; i++) socket.send(seal(payload, counter + i), child.port, HOST)
    // The callback of the last one is the window signal: the kernel has taken the burst.
    await new Promise<void>((resolve) => socket.send(seal(payload, counter), child.port, HOST, () => resolve()))
  }
  socket.close()
  return await child.report()
}

/** Round trips of a 64-byte datagram to an echoing process. */
export const udpRoundTrip = async (rounds: number): Promise<Statistics.Latency> => {
  await using child = await start("echo")
  const socket = await bound()
  const times: Array<number> = []
  const ping = Buffer.alloc(64)
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now()
    await new Promise<void>((resolve) => {
      socket.once("message", () => resolve())
      socket.send(ping, child.port, HOST)
    })
    times.push(performance.now() - startMs)
  }
  socket.close()
  return Statistics.latency(times.slice(WARM_UP))
}

/** From the call that opens a TCP connection to the first byte echoed over it. */
export const tcpFirstByte = async (rounds: number): Promise<Statistics.Latency> => {
  await using child = await start("accept")
  const times: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now()
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ port: child.port, host: HOST, noDelay: true })
      socket.once("error", reject)
      socket.once("data", () => {
        socket.destroy()
        resolve()
      })
      socket.write("x")
    })
    times.push(performance.now() - startMs)
  }
  return Statistics.latency(times)
}

interface Child extends AsyncDisposable {
  readonly port: number
  readonly report: () => Promise<number>
}

const start = async (role: string): Promise<Child> => {
  const child = fork(PROGRAM, [role])
  const port = await once(child)
  return {
    port,
    report: () => {
      child.send("report")
      return once(child)
    },
    [Symbol.asyncDispose]: async () => {
      const exited = new Promise((resolve) => child.once("exit", resolve))
      child.kill()
      await exited
    }
  }
}

const seal = (payload: Buffer, counter: number): Array<Buffer> => {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.writeUInt32BE(counter, 8)
  const cipher = createCipheriv("aes-256-gcm", KEY, nonce, { authTagLength: TAG_BYTES })
  const sealed = cipher.update(payload)
  cipher.final()
  return [nonce, sealed, cipher.getAuthTag()]
}

const open = (frame: Buffer): number => {
  const decipher = createDecipheriv("aes-256-gcm", KEY, frame.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(frame.subarray(-TAG_BYTES))
  const plaintext = decipher.update(frame.subarray(NONCE_BYTES, -TAG_BYTES))
  decipher.final()
  return plaintext.length
}

/** Counts from the first to the last datagram. */
const receive = async (): Promise<void> => {
  const socket = await bound()
  let [bytes, firstMs, lastMs] = [0, 0, 0]
  socket.on("message", (frame: Buffer) => {
    bytes += open(frame)
    lastMs = performance.now()
    firstMs ||= lastMs
  })
  process.on("message", () => process.send?.((bytes * 1000) / (lastMs - firstMs)))
  process.send?.(socket.address().port)
}

const echo = async (): Promise<void> => {
  const socket = await bound()
  socket.on("message", (datagram, from) => socket.send(datagram, from.port, from.address))
  process.send?.(socket.address().port)
}

const accept = (): void => {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy())
    socket.pipe(socket)
  })
  server.listen(0, HOST, () => process.send?.((server.address() as AddressInfo).port))
}

const bound = (): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = createSocket({
      type: "udp4",
      recvBufferSize: BUFFER_BYTES,
      sendBufferSize: BUFFER_BYTES,
      lookup: (host, _options, callback) => callback(null, host, 4)
    })
    socket.bind(0, HOST, () => resolve(socket))
  })

const once = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once("message", (value) => resolve(Number(value)))
    child.once("exit", (code) => reject(new Error(`the other end of a ceiling ended with ${code}`)))
  })

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

const sealHere = async (): Promise<void> =>
  void process.send?.(await sealedBytesPerSecond(Number(process.argv[3]), SEAL_MS))

const ROLES: Readonly<Record<string, () => Promise<void> | void>> = { receive, echo, accept, seal: sealHere }
const SEAL_MS = 2_000
const HOST = "127.0.0.1"
const BURST = 32
const BUFFER_BYTES = 4 << 20
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Round trips before the compiler has seen enough of the loop. */
const WARM_UP = 200
const KEY = createSecretKey(Buffer.alloc(32, 9))

if (process.argv[1] === PROGRAM) await ROLES[process.argv[2] ?? ""]?.()
