package org.tfhmr.core;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Whether what a dex calls is there, on a class path of the platform and of the dex itself.
 *
 * <p>references.txt has a line for each method and field: class, name and descriptor.
 */
final class ReferenceChecks {
    private ReferenceChecks() {}

    static String references(Vectors vectors) throws Exception {
        String text = new String(vectors.read("references.txt"), StandardCharsets.UTF_8);
        // What is called only where the system says that it has it.
        Set<String> guarded = new HashSet<String>(
                Arrays.asList(System.getProperty("guarded", "").split(",")));
        List<String> missing = new ArrayList<String>();
        String[] lines = text.split("\n");
        for (String line : lines) {
            String[] words = line.split(" ");
            if (!guarded.contains(words[0] + "." + words[1])
                    && !exists(words[0], words[1], words[2])) {
                missing.add(line);
            }
        }
        Checks.isTrue("missing: " + missing, missing.isEmpty());
        Checks.isTrue("there are references", lines.length > 500);
        return lines.length + " methods and fields";
    }

    private static boolean exists(String owner, String name, String descriptor) {
        try {
            Class<?> type =
                    Class.forName(owner, false, ReferenceChecks.class.getClassLoader());
            return has(type, name, descriptor);
        } catch (ClassNotFoundException error) {
            return false;
        }
    }

    private static boolean has(Class<?> type, String name, String descriptor) {
        if (name.equals("<init>")) {
            for (Constructor<?> constructor : type.getDeclaredConstructors()) {
                if (descriptor(constructor.getParameterTypes(), void.class).equals(descriptor)) {
                    return true;
                }
            }
            return false;
        }
        for (Method method : type.getDeclaredMethods()) {
            if (method.getName().equals(name)
                    && descriptor(method.getParameterTypes(), method.getReturnType())
                            .equals(descriptor)) {
                return true;
            }
        }
        for (Field field : type.getDeclaredFields()) {
            if (field.getName().equals(name) && descriptor(field.getType()).equals(descriptor)) {
                return true;
            }
        }
        for (Class<?> parent : type.getInterfaces()) {
            if (has(parent, name, descriptor)) {
                return true;
            }
        }
        Class<?> parent = type.isInterface() ? Object.class : type.getSuperclass();
        return parent != null && has(parent, name, descriptor);
    }

    private static String descriptor(Class<?>[] parameters, Class<?> result) {
        StringBuilder text = new StringBuilder("(");
        for (Class<?> parameter : parameters) {
            text.append(descriptor(parameter));
        }
        return text.append(')').append(descriptor(result)).toString();
    }

    private static String descriptor(Class<?> type) {
        return java.lang.invoke.MethodType.methodType(type).toMethodDescriptorString()
                .substring(2);
    }
}
