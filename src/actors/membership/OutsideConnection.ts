/** A connection of one membership under the address that its peer has in the whole node. */
import type { Address } from "../../protocol/wire/Address.ts"
import type { Connection } from "../node/Node.ts"

/** The same connection under another address of its peer. */
export const named = (connection: Connection, remote: Address): Connection =>
  remote === connection.remote
    ? connection
    : {
        id: connection.id,
        localPort: connection.localPort,
        remote,
        remotePort: connection.remotePort,
        read: connection.read,
        write: connection.write,
        setNoDelay: (isOn) => connection.setNoDelay(isOn),
        end: connection.end,
        close: connection.close,
        reset: connection.reset,
        closed: connection.closed
      }
