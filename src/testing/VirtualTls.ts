/**
 * `TlsClient` and `TlsSniffServer` on a `VirtualNetwork`. The handshake costs its round trips and shows the certificate's
 * fingerprint; the bytes inside are not encrypted, since nobody but the two ends can see them here.
 */
import { Cause, Effect, Queue, type Scope } from "effect"
import type { Crypto } from "../core/crypto/Crypto.ts"
import * as Bytes from "../core/data/Bytes.ts"
import * as SourceGroup from "../core/data/SourceGroup.ts"
import { type ClientStream, ConnectError, StreamLost, type TlsClient } from "../core/net/TlsClient.ts"
import type { ListenOptions, ServedConnection, ServerEvent, TlsSniffServer } from "../core/net/TlsSniffServer.ts"
import { BindError } from "../core/net/UdpEndpoint.ts"
import type { Host, VirtualNetwork } from "./VirtualNetwork.ts"
import { oneWayMs, TcpEnd } from "./VirtualTcp.ts"

/** Every listening port and open stream of a world. Mutable; owned by it. */
export class TcpTable {
  readonly network: VirtualNetwork
  readonly #crypto: Crypto["Service"]
  readonly #listeners = new Map<string, Listener>()
  readonly #ends = new Set<TcpEnd>()
  #nextPort = CLIENT_PORT_MIN

  constructor(network: VirtualNetwork, crypto: Crypto["Service"]) {
    this.network = network
    this.#crypto = crypto
  }

  /** Listeners and open ends, for those who look for leaks. */
  get size(): number {
    this.#forgetClosed()
    return this.#listeners.size + this.#ends.size
  }

  /** Listeners and open ends of one host. */
  openOf(host: Host): number {
    this.#forgetClosed()
    return [...this.#ends, ...this.#listeners.values()].filter((one) => one.host === host).length
  }

  /** Stops everything of one host: with a reset to the other sides, or without a word. */
  stop(host: Host, isSudden: boolean): void {
    for (const end of this.#ends) {
      if (end.host !== host) continue
      if (isSudden) end.vanish()
      else end.destroy()
    }
    for (const [name, listener] of this.#listeners) if (listener.host === host) this.#listeners.delete(name)
    this.#forgetClosed()
  }

  /** What a certificate is recognised by; any text serves as one. */
  fingerprint(certificatePem: string): string {
    return Bytes.toHex(this.#crypto.sha256(Bytes.fromUtf8(certificatePem)))
  }

  /** `undefined` when the port is taken. */
  listen(host: Host, options: ListenOptions): Listener | undefined {
    const port = options.port === 0 ? this.#nextPort++ : options.port
    const name = `${host.name} ${port}`
    if (this.#listeners.has(name)) return undefined
    const listener = new Listener(this.network, host, { ...options, port })
    this.#listeners.set(name, listener)
    return listener
  }

  /** Ends a listener and its connections. */
  close(listener: Listener): void {
    const name = `${listener.host.name} ${listener.options.port}`
    if (this.#listeners.get(name) === listener) this.#listeners.delete(name)
    listener.destroyAll()
    this.#forgetClosed()
  }

  /** Who listens at a port of a host. */
  find(host: Host, port: number): Listener | undefined {
    return this.#listeners.get(`${host.name} ${port}`)
  }

  /** An open stream from a host to a listener. */
  open(from: Host, as: string, listener: Listener, isTls: boolean): TcpEnd | undefined {
    const remote = { host: as, port: this.#nextPort++ }
    if (this.#nextPort > CLIENT_PORT_MAX) this.#nextPort = CLIENT_PORT_MIN
    const [near, far] = TcpEnd.pair(this.network, from, listener.host)
    if (!listener.accept(far, remote, isTls)) return undefined
    this.#forgetClosed()
    this.#ends.add(near).add(far)
    return near
  }

  #forgetClosed(): void {
    for (const end of this.#ends) if (!end.isOpen) this.#ends.delete(end)
  }
}

/** One listening port. */
export class Listener {
  readonly host: Host
  readonly options: ListenOptions
  readonly #network: VirtualNetwork
  readonly #connections = new Map<TcpEnd, string>()
  #receive: ((batch: ReadonlyArray<ServerEvent>) => void) | undefined
  #batch: Array<ServerEvent> = []
  #nextId = 1

  constructor(network: VirtualNetwork, host: Host, options: ListenOptions) {
    this.#network = network
    this.host = host
    this.options = options
  }

  /** Installs the only receiver. */
  onBatch(receive: (batch: ReadonlyArray<ServerEvent>) => void): void {
    this.#receive = receive
    if (this.#batch.length > 0) this.#network.time.defer(() => this.#flush())
  }

  /** False when there are too many connections, of all or of one source. */
  accept(end: TcpEnd, remote: ServedConnection["remote"], isTls: boolean): boolean {
    const source = SourceGroup.of(remote.host)
    const ofSource = [...this.#connections.values()].filter((other) => other === source).length
    const { connectionsMax, connectionsPerSourceMax } = this.options
    if (this.#connections.size >= connectionsMax || ofSource >= connectionsPerSourceMax) return false
    this.#connections.set(end, source)
    const connection = this.#serve(end, remote, isTls)
    const close = () => {
      if (this.#connections.delete(end)) this.#push({ _tag: "Closed", connection })
    }
    this.#push({ _tag: "Opened", connection })
    end.attach({
      data: (bytes) => this.#push({ _tag: "Received", connection, bytes }),
      ended: () => {
        end.end()
        close()
      },
      lost: close
    })
    return true
  }

  /** Closes every connection. */
  destroyAll(): void {
    for (const end of this.#connections.keys()) end.destroy()
    this.#connections.clear()
  }

  #serve(end: TcpEnd, remote: ServedConnection["remote"], isTls: boolean): ServedConnection {
    const closed = (connection: ServedConnection) => {
      if (this.#connections.delete(end)) this.#push({ _tag: "Closed", connection })
    }
    const connection: ServedConnection = {
      id: this.#nextId++,
      remote,
      isTls,
      bufferedBytes: () => end.bufferedBytes,
      send: (bytes) => end.send(bytes),
      pause: () => end.pause(),
      resume: () => end.resume(),
      end: () => {
        end.end()
        // What was sent arrives; nothing that the client still says is heard.
        end.attach({ data: () => {}, ended: () => {}, lost: () => {} })
        closed(connection)
      },
      destroy: () => {
        end.destroy()
        closed(connection)
      }
    }
    return connection
  }

  #push(event: ServerEvent): void {
    if (this.#batch.push(event) === 1 && this.#receive !== undefined) this.#network.time.defer(() => this.#flush())
  }

  #flush(): void {
    const batch = this.#batch
    this.#batch = []
    if (batch.length > 0) this.#receive?.(batch)
  }
}

/** The server side of a host, while it runs. */
export const server = (table: TcpTable, host: Host, isRunning: () => boolean): TlsSniffServer["Service"] => ({
  listen: Effect.fnUntraced(function* (options) {
    const { host: address = "", port } = options
    const listener = isRunning() ? table.listen(host, options) : undefined
    if (listener === undefined) {
      return yield* new BindError({ reason: "PortInUse", host: address, port, detail: `simulated host ${host.name}` })
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => table.close(listener)))
    return {
      local: { host: host.address, port: listener.options.port },
      onBatch: (receive: (batch: ReadonlyArray<ServerEvent>) => void) => listener.onBatch(receive),
      // The bytes of simulated TLS are those inside of it, so that there is nothing that a WebSocket could carry.
      adopt: (peer) => peer.destroy()
    }
  })
})

type ConnectOptions = Parameters<TlsClient["Service"]["connect"]>[0]

/** The client side of a host, while it runs. */
export const client = (table: TcpTable, host: Host, isRunning: () => boolean): TlsClient["Service"] => ({
  connect: (options) =>
    Effect.acquireRelease(
      handshake(table, host, isRunning, options).pipe(
        Effect.timeoutOrElse({
          duration: options.timeoutMs,
          orElse: () => Effect.fail(failure(options, "Timeout", `no connection within ${options.timeoutMs} ms`))
        })
      ),
      ({ end }) => Effect.sync(() => end.destroy()),
      { interruptible: true }
    ).pipe(Effect.flatMap(toStream))
})

interface Opened {
  readonly end: TcpEnd
  readonly fingerprint: string | undefined
}

/** One round trip for TCP, another for TLS 1.3. A path that is cut is waited for. */
const handshake = Effect.fnUntraced(function* (
  table: TcpTable,
  from: Host,
  isRunning: () => boolean,
  options: ConnectOptions
): Effect.fn.Return<Opened, ConnectError> {
  const { network } = table
  if (options.through !== undefined) return yield* failure(options, "Unreachable", "the simulation has no such stream")
  const reached = network.reach(from, options.host)
  if (reached === undefined || !isRunning()) return yield* failure(options, "Unreachable", "no route to host")
  const roundTrip = Effect.suspend(() =>
    Effect.sleep(oneWayMs(network, from, reached.host) + oneWayMs(network, reached.host, from))
  )
  yield* roundTrip
  while (!network.isConnected(from, reached.host)) yield* Effect.sleep(SYN_RETRY_MS)
  const listener = table.find(reached.host, options.port)
  if (listener === undefined) return yield* failure(options, "Unreachable", "connection refused")
  const fingerprint = options.accept === undefined ? undefined : table.fingerprint(listener.options.tls.certificatePem)
  if (options.accept !== undefined && fingerprint !== undefined) {
    yield* roundTrip
    if (!options.accept(fingerprint)) {
      return yield* failure(options, "Refused", "the server shows another certificate", fingerprint)
    }
  }
  const end = isRunning() ? table.open(from, reached.as, listener, fingerprint !== undefined) : undefined
  if (end === undefined) return yield* failure(options, "Unreachable", "closed by the server")
  return { end, fingerprint }
})

const toStream = Effect.fnUntraced(function* ({
  end,
  fingerprint
}: Opened): Effect.fn.Return<ClientStream, never, Scope.Scope> {
  const chunks = yield* Queue.unbounded<Uint8Array, StreamLost | Cause.Done>()
  const lost = (detail: string) => Queue.failCauseUnsafe(chunks, Cause.fail(new StreamLost({ detail })))
  end.attach({
    data: (bytes) => {
      Queue.offerUnsafe(chunks, bytes)
      // Read again when this chunk is taken, so that no more than one waits.
      end.pause()
    },
    ended: () => Queue.endUnsafe(chunks),
    lost
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => lost("closed")))
  return {
    fingerprint,
    read: Effect.tap(Queue.take(chunks), () => Effect.sync(() => end.resume())),
    write: (bytes) =>
      Effect.suspend(() => {
        if (!end.isOpen) return Effect.fail(new StreamLost({ detail: "closed" }))
        end.send(bytes)
        return Effect.void
      }),
    end: Effect.sync(() => end.end())
  }
})

const failure = (options: ConnectOptions, reason: ConnectError["reason"], detail: string, fingerprint = "") =>
  new ConnectError({ reason, host: options.host, port: options.port, fingerprint, detail })

const SYN_RETRY_MS = 1000
const CLIENT_PORT_MIN = 32_768
const CLIENT_PORT_MAX = 60_999
