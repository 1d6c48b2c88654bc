/** The stream of a command to a peer, plain or with a secure channel on it, failing in the words of the command. */
import { Cause, Effect } from "effect"
import type { IpcConnection } from "../../actors/ipc/IpcClient.ts"
import type { SecureChannelError } from "../../actors/services/SecureStream.ts"
import * as Json from "../../core/data/Json.ts"
import type { Duplex } from "../../core/net/Duplex.ts"
import * as CliError from "../CliError.ts"
import type { Flag } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"

/** What `connect`, `send` and `recv` read and write; `end` closes all of it. */
export interface Channel extends Duplex<CliError.CliError> {
  /** Ends writing only, where daemon and peer know how; elsewhere the whole stream. */
  readonly endWriting: Effect.Effect<void>
}

/** `--secure`. */
export const SECURE: Flag = {
  name: "secure",
  value: "boolean",
  summary: "with a secure channel on the stream, as peers of the reference have on port 443"
}

/** The port of the secure channel (wire §2). */
export const SECURE_PORT = 443

/** A stream as it is. */
export const plain = (command: string, connection: IpcConnection): Channel => {
  const told = (error: DaemonClient.IpcError) => DaemonClient.failure(command, error)
  return {
    read: Effect.mapError(connection.read, (error) => (Cause.isDone(error) ? error : told(error))),
    write: (bytes) => Effect.mapError(connection.write(bytes), told),
    end: connection.end,
    endWriting: connection.endWriting
  }
}

/** A secure channel on it. */
export const secure = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  connection: IpcConnection,
  role: "client" | "server",
  command: string
): Effect.fn.Return<Channel, CliError.CliError> {
  const { SecureStream, crypto } = yield* Effect.promise(async () => ({
    SecureStream: await import("../../actors/services/SecureStream.ts"),
    crypto: (await import("../../core/crypto/NativeCrypto.ts")).crypto
  }))
  const { keyScheme } = yield* abilities(client, connection.remote.node)
  const { end, endWriting, read, write } = plain(command, connection)
  const told = (error: CliError.CliError | SecureChannelError) =>
    error._tag === "SecureChannelError" ? broken(error) : error
  const opened = SecureStream.open({ read, write, end }, { role, crypto, scheme: keyScheme })
  const channel = yield* Effect.mapError(opened, told)
  return {
    read: Effect.mapError(channel.read, (error) => (Cause.isDone(error) ? error : told(error))),
    write: (bytes) => Effect.mapError(channel.write(bytes), told),
    end,
    endWriting
  }
})

/** What the peer is known to speak; a daemon that cannot say has only peers of the reference. */
export const abilities = (
  client: DaemonClient.IpcClient,
  node: number
): Effect.Effect<{ readonly keyScheme: "legacy" | "later"; readonly halfCloses: boolean }> =>
  client.extension("peer", { target: String(node), recent: true }).pipe(
    Effect.map((row) => ({
      keyScheme: Json.string(row, "key_scheme") === "later" ? ("later" as const) : ("legacy" as const),
      halfCloses: Json.boolean(row, "half_close")
    })),
    Effect.orElseSucceed(() => ({ keyScheme: "legacy" as const, halfCloses: false }))
  )

const broken = ({ message }: SecureChannelError): CliError.CliError =>
  CliError.make("connection_failed", message, "both sides need --secure, or neither")
