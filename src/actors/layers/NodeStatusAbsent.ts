/** The status of a node whose registries are all away since it started. Pure. */
import * as Address from "../../protocol/wire/Address.ts"
import type { NodeStatus } from "../node/Node.ts"
import type { NodeConfig } from "./NodeConfig.ts"

/** Nothing is open, and it has no address yet. */
export const make = (config: NodeConfig, publicKey: Uint8Array): NodeStatus => ({
  address: Address.make(0, 0),
  publicKey,
  hostname: config.hostname,
  owner: config.owner,
  isPublic: config.public,
  encrypt: config.encrypt,
  identityPersisted: true,
  startedAtMs: 0,
  local: { host: "0.0.0.0", port: 0 },
  mapped: undefined,
  sentBytes: 0,
  receivedBytes: 0,
  sentDatagrams: 0,
  receivedDatagrams: 0,
  boundPorts: [],
  refusedKeys: [],
  peers: [],
  connections: []
})
