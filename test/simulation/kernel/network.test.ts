import { expect, it } from "vitest";
import { createAgenda } from "./agenda.ts";
import { createDice } from "./dice.ts";
import { createNetwork } from "./network.ts";

it("a link is cut in its own direction alone, until it is healed as often", async () => {
  const agenda = createAgenda();
  const network = createNetwork(agenda, createDice(1));
  const arrived: string[] = [];
  const talk = async () => {
    arrived.length = 0;
    network.send("a", "b", 0, () => arrived.push("a to b"));
    network.ask("b", "a", 0, () => arrived.push("b to a"));
    await agenda.run(agenda.nowMs + 1_000, () => false);
    return arrived.toSorted();
  };
  network.cut("a", "b");
  network.cut("a", "b");
  expect(await talk()).toEqual(["b to a"]);
  network.heal("a", "b");
  expect(await talk()).toEqual(["b to a"]);
  network.heal("a", "b");
  expect(await talk()).toEqual(["a to b", "b to a"]);
});
