/** Takes an amount of an item from a list of `{name, count}`; answers the new list. */
export function reserve(stock, name, amount) {
  const item = stock.find((candidate) => candidate.name === name);
  if (item === undefined || item.count < amount) {
    throw new RangeError(`there are not ${amount} of ${name}`);
  }
  item.count -= amount;
  return stock;
}
