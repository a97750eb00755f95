export const reward = (): number => 1;
