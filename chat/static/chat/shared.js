// A shared conversation: code can be copied, what is too wide can be scrolled by the keyboard.
import { decorate } from "chat/page";

decorate(document);
