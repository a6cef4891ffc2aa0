import { getDocs as contract } from '../../../lib/contracts/system.ts';
import { httpHandler } from '../../../lib/runtime/http-handler.ts';

export const getDocs = () => '<!doctype html><title>Chat API</title>';

export const handler = httpHandler(contract, getDocs);
