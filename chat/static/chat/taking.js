// The pages of links, of one's data and of imports.
import { enliven } from "chat/share";
import { start } from "chat/transfer";

enliven(document);
start();
