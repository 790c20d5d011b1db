package org.tfhmr.core;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;

/**
 * Runs the checks of a class on a folder: `java org.tfhmr.core.Checks CLASS FOLDER`.
 *
 * <p>A check is a static method that takes the folder, and returns what it measured. A line for
 * each says "ok" or "FAILED", its name and that; the exit status is 1 if one failed.
 */
public final class Checks {
    private Checks() {}

    /** Runs the command line. */
    public static void main(String[] arguments) throws Exception {
        Class<?> checks = Class.forName("org.tfhmr.core." + arguments[0]);
        int failed = 0;
        for (Method method : methods(checks)) {
            String says;
            boolean isGood = false;
            try {
                says = (String) method.invoke(null, new Vectors(arguments[1]));
                isGood = true;
            } catch (InvocationTargetException error) {
                Throwable cause = error.getCause();
                says = cause.toString().replaceAll("\\s+", " ") + " at "
                        + (cause.getStackTrace().length > 0 ? cause.getStackTrace()[0] : "?");
            }
            failed += isGood ? 0 : 1;
            System.out.println((isGood ? "ok " : "FAILED ") + method.getName() + ": " + says);
        }
        System.exit(failed == 0 ? 0 : 1);
    }

    private static List<Method> methods(Class<?> checks) {
        List<Method> methods = new ArrayList<Method>();
        for (Method method : checks.getDeclaredMethods()) {
            Class<?>[] parameters = method.getParameterTypes();
            if (parameters.length == 1 && parameters[0] == Vectors.class
                    && method.getReturnType() == String.class
                    && !java.lang.reflect.Modifier.isPrivate(method.getModifiers())) {
                methods.add(method);
            }
        }
        return methods;
    }

    static void equal(String name, Object value, Object expected) {
        if (!(value == null ? expected == null : value.equals(expected))) {
            throw new AssertionError(name + " is " + value + ", expected " + expected);
        }
    }

    static void isTrue(String name, boolean condition) {
        if (!condition) {
            throw new AssertionError(name);
        }
    }

    /** Checks that an action refuses in one line that holds some words. */
    static void refused(String name, String words, Runnable action) {
        String message;
        try {
            action.run();
        } catch (IllegalArgumentException error) {
            message = error.getMessage();
            if (message.contains(words) && !message.contains("\n")) {
                return;
            }
            throw new AssertionError(name + " says: " + message + ", expected: " + words);
        }
        throw new AssertionError(name + " was not refused");
    }
}
