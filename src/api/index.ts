/** effect-pilot: the network half of an agent, as Effects. */
export type { Connection } from "./Connection.ts"
export * as Pilot from "./Pilot.ts"
