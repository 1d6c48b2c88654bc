/** effect-pilot: the network half of an agent, as Effects. */
export { StreamObserver } from "../actors/node/StreamObserver.ts"
export type { Connection } from "./Connection.ts"
export * as Directory from "./Directory.ts"
export * as Events from "./Events.ts"
export * as Files from "./Files.ts"
export * as Mcp from "./Mcp.ts"
export * as Messages from "./Messages.ts"
export * as Pilot from "./Pilot.ts"
