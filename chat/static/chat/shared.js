// A shared conversation: code can be copied, what is too wide can be scrolled by the keyboard, formulas are drawn.
import { decorate } from "chat/decorate";

decorate(document.body);
